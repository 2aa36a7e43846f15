{{- define "nginx.image" -}}
{{- with .root.Values.global.systemDefaultRegistry }}{{ . }}/{{ end -}}
{{- .image.repository }}:{{ ternary .image.primeTag .image.tag .root.Values.global.prime.enabled }}
{{- end }}
