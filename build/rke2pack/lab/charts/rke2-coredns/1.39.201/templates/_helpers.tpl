{{- define "coredns.registry" -}}
{{- with .Values.global.systemDefaultRegistry }}{{ . }}/{{ end -}}
{{- end }}

{{- define "coredns.address" -}}
{{- required "global.clusterDNS must be the address of the DNS service" .Values.global.clusterDNS -}}
{{- end }}
