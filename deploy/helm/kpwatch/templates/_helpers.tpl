{{/* Names: RELEASE-agent, RELEASE-hub …; a release called kpwatch has those of deploy/kubernetes. */}}
{{- define "kpwatch.name" -}}
{{- printf "%s-%s" .root.Release.Name .part | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "kpwatch.labels" -}}
app.kubernetes.io/name: kpwatch-{{ .part }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/part-of: kpwatch
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "kpwatch.selector" -}}
app.kubernetes.io/name: kpwatch-{{ .part }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{/* What every pod has: the image's user, nothing of the node, no shell's worth of rights. */}}
{{- define "kpwatch.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10249
runAsGroup: 10249
fsGroup: 10249
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "kpwatch.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "kpwatch.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{/* Where agents write. */}}
{{- define "kpwatch.writers" -}}
{{- if .Values.writers -}}
{{ .Values.writers | trim }}
{{- else if .Values.hub.enabled -}}
[[writers]]
url = "http://{{ include "kpwatch.name" (dict "root" . "part" "hub") }}.{{ .Release.Namespace }}.svc:19000/prometheus/v1/write"
basic_auth_user = "agent"
basic_auth_pass_file = "/etc/kpwatch-secret/password"
{{- else -}}
{{- fail "writers: where should agents write? Give [[writers]] tables, or enable the hub" -}}
{{- end -}}
{{- end }}

{{- define "kpwatch.global" -}}
[global]
hostname = {{ .hostname | quote }}
interval = {{ .root.Values.interval }}
{{- with .root.Values.globalLabels }}

[global.labels]
{{- range $name, $value := . }}
{{ $name }} = {{ $value | quote }}
{{- end }}
{{- end }}

{{ include "kpwatch.writers" .root }}
{{- end }}

{{/* Whether agents need the hub's password. */}}
{{- define "kpwatch.needsPassword" -}}
{{- if and (not .Values.writers) .Values.hub.enabled }}yes{{ end -}}
{{- end }}

{{- define "kpwatch.passwordMount" -}}
- name: password
  mountPath: /etc/kpwatch-secret
  readOnly: true
{{- end }}

{{- define "kpwatch.passwordVolume" -}}
- name: password
  secret:
    secretName: {{ .Values.hub.secretName }}
    items:
      - key: password
        path: password
{{- end }}

{{/* The pod of an agent that asks the API server: .root .part .resources .volume */}}
{{- define "kpwatch.clusterAgent" -}}
metadata:
  labels:
    {{- include "kpwatch.labels" . | nindent 4 }}
spec:
  serviceAccountName: {{ include "kpwatch.name" (dict "root" .root "part" "discovery") }}
  automountServiceAccountToken: true
  enableServiceLinks: false
  terminationGracePeriodSeconds: 15
  {{- include "kpwatch.pullSecrets" .root | nindent 2 }}
  nodeSelector:
    kubernetes.io/os: linux
  securityContext:
    {{- include "kpwatch.podSecurity" . | nindent 4 }}
  containers:
    - name: agent
      image: {{ .root.Values.image.agent }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      env:
        - name: KPWATCH_CONFIGS
          value: /etc/kpwatch
        - name: POD_NAME
          valueFrom:
            fieldRef:
              fieldPath: metadata.name
      ports:
        - name: http
          containerPort: 19110
      resources:
        {{- toYaml .resources | nindent 8 }}
      securityContext:
        {{- include "kpwatch.containerSecurity" . | nindent 8 }}
      livenessProbe:
        httpGet:
          port: http
          path: /healthz
        periodSeconds: 30
        timeoutSeconds: 5
      readinessProbe:
        httpGet:
          port: http
          path: /readyz
        periodSeconds: 15
        timeoutSeconds: 5
      volumeMounts:
        - name: config
          mountPath: /etc/kpwatch
        {{- if include "kpwatch.needsPassword" .root }}
        {{- include "kpwatch.passwordMount" .root | nindent 8 }}
        {{- end }}
        - name: state
          mountPath: /var/lib/kpwatch
  volumes:
    - name: config
      configMap:
        name: {{ include "kpwatch.name" . }}
    {{- if include "kpwatch.needsPassword" .root }}
    {{- include "kpwatch.passwordVolume" .root | nindent 4 }}
    {{- end }}
    - name: state
      emptyDir:
        sizeLimit: 1200Mi
{{- end }}
