{{- define "snapshot-controller.registry" -}}
{{- with .Values.global.systemDefaultRegistry }}{{ . }}/{{ end -}}
{{- end }}
