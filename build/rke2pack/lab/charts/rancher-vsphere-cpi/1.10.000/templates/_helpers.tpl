{{- define "vsphere-cpi.registry" -}}
{{- with .Values.global.cattle.systemDefaultRegistry }}{{ . }}/{{ end -}}
{{- end }}

{{- define "vsphere-cpi.image" -}}
{{- $image := .Values.cloudControllerManager -}}
{{- range reverse .Values.versionOverrides -}}
{{- if semverCompare .constraint $.Capabilities.KubeVersion.Version -}}
{{- $image = .values.cloudControllerManager -}}
{{- end -}}
{{- end -}}
{{- include "vsphere-cpi.registry" . }}{{ $image.repository }}:{{ $image.tag }}
{{- end }}
