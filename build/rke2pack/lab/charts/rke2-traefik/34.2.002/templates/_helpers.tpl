{{- define "traefik.registry" -}}
{{- with .Values.global.systemDefaultRegistry }}{{ . }}/{{ end -}}
{{- end }}
