{{- define "harvester-cloud-provider.registry" -}}
{{- with .Values.global.cattle.systemDefaultRegistry }}{{ . }}/{{ end -}}
{{- end }}

{{- define "harvester-cloud-provider.selector" -}}
app.kubernetes.io/name: harvester-cloud-provider
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
