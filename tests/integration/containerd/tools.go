//go:build tools

// Package tools names the programs that session containerd builds from the module proxy: a newer
// containerd than the distribution's, to import archives into.
package tools

import (
	_ "github.com/containerd/containerd/v2/cmd/containerd"
	_ "github.com/containerd/containerd/v2/cmd/ctr"
)
