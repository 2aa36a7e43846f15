{{- define "cilium.registry" -}}
{{- with .Values.global.systemDefaultRegistry }}{{ . }}/{{ end -}}
{{- end }}

{{- define "cilium.cloud" -}}
{{- if .Values.eni.enabled }}aws{{ else if .Values.azure.enabled }}azure{{ else }}generic{{ end -}}
{{- end }}
