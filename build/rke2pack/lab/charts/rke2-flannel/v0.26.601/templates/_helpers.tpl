{{- define "flannel.registry" -}}
{{- with .Values.global.systemDefaultRegistry }}{{ . }}/{{ end -}}
{{- end }}
