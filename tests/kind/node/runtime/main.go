// Program runtime is runc for hosts that do not give root every capability: it takes those that
// this process cannot have itself out of what is asked for, and then becomes runc.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// The names by number, from linux/capability.h.
var names = strings.Fields(`CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID
	SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER
	SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE
	SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN
	SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "runtime:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	absent, err := absentCapabilities()
	if err != nil {
		return err
	}
	if len(absent) > 0 {
		if err := editAll(args, absent); err != nil {
			return err
		}
	}
	program := "/usr/sbin/runc"
	if _, err := os.Stat(program); err != nil {
		if program, err = exec.LookPath("runc"); err != nil {
			return err
		}
	}
	return syscall.Exec(program, append([]string{"runc"}, args...), os.Environ())
}

// absentCapabilities returns the names that the bounding set lacks.
func absentCapabilities() (map[string]bool, error) {
	file, err := os.Open("/proc/self/status")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		text, found := strings.CutPrefix(lines.Text(), "CapBnd:")
		if !found {
			continue
		}
		set, err := strconv.ParseUint(strings.TrimSpace(text), 16, 64)
		if err != nil {
			return nil, err
		}
		absent := map[string]bool{}
		for number, name := range names {
			if set&(1<<number) == 0 {
				absent["CAP_"+name] = true
			}
		}
		return absent, nil
	}
	return nil, fmt.Errorf("/proc/self/status: no CapBnd")
}

// editAll corrects the files that a create, run or exec reads.
func editAll(args []string, absent map[string]bool) error {
	bundle, process, verb := "", "", ""
	for at, each := range args {
		name, value, joined := strings.Cut(strings.TrimLeft(each, "-"), "=")
		if !joined && at+1 < len(args) {
			value = args[at+1]
		}
		switch {
		case each == "create" || each == "run" || each == "restore" || each == "exec":
			if verb == "" {
				verb = each
			}
		case !strings.HasPrefix(each, "-"):
		case name == "bundle" || name == "b":
			bundle = value
		case name == "process" || (name == "p" && verb == "exec"):
			process = value
		}
	}
	switch {
	case verb == "exec" && process != "":
		return edit(process, func(spec map[string]any) any { return spec }, absent)
	case verb == "create" || verb == "run":
		whole := func(spec map[string]any) any { return spec["process"] }
		return edit(filepath.Join(bundle, "config.json"), whole, absent)
	}
	return nil
}

func edit(path string, part func(map[string]any) any, absent map[string]bool) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(strings.NewReader(string(content)))
	decoder.UseNumber()
	var spec map[string]any
	if err := decoder.Decode(&spec); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	process, _ := part(spec).(map[string]any)
	sets, _ := process["capabilities"].(map[string]any)
	for key, value := range sets {
		given, _ := value.([]any)
		kept := []any{}
		for _, each := range given {
			if name, _ := each.(string); !absent[name] {
				kept = append(kept, each)
			}
		}
		sets[key] = kept
	}
	if content, err = json.Marshal(spec); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}
