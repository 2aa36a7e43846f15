{{- define "metrics-server.registry" -}}
{{- with .Values.global.systemDefaultRegistry }}{{ . }}/{{ end -}}
{{- end }}
