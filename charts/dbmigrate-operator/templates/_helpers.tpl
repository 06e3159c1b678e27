{{- define "dbmigrate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The name of every object: the release's, with the chart's unless the release's holds it. */}}
{{- define "dbmigrate.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := include "dbmigrate.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{/* Cluster-scoped names carry the namespace: two releases in two namespaces do not meet. */}}
{{- define "dbmigrate.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "dbmigrate.fullname" .) }}
{{- end }}

{{/* What never changes in a release: a Deployment's selector is immutable. */}}
{{- define "dbmigrate.selectorLabels" -}}
app.kubernetes.io/name: {{ include "dbmigrate.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "dbmigrate.labels" -}}
{{ include "dbmigrate.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: dbmigrate
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "dbmigrate.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "dbmigrate.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* An image's reference: repository@digest, else repository:tag. Takes (list root image). */}}
{{- define "dbmigrate.imageReference" -}}
{{- $root := index . 0 }}
{{- $image := index . 1 }}
{{- if $image.digest }}
{{- printf "%s@%s" $image.repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $image.repository (default $root.Chart.AppVersion $image.tag) }}
{{- end }}
{{- end }}

{{/* The runner's image: its own where a repository is given, else the operator's. */}}
{{- define "dbmigrate.runnerImage" -}}
{{- if .Values.runner.image.repository }}
{{- include "dbmigrate.imageReference" (list . .Values.runner.image) }}
{{- else if or .Values.runner.image.tag .Values.runner.image.digest }}
{{- fail "runner.image.tag and runner.image.digest need runner.image.repository" }}
{{- else }}
{{- include "dbmigrate.imageReference" (list . .Values.image) }}
{{- end }}
{{- end }}

{{/*
All that the operator may do; a ClusterRole and the Roles of listed namespaces share it.
kopf finds the API's resources by discovery, which every authenticated account may read; with its
scanning of CRDs and namespaces switched off it needs no cluster-wide right of its own.
*/}}
{{- define "dbmigrate.rules" -}}
- apiGroups: [dbmigrate.dev]
  resources: [databasemigrations]
  verbs: [get, list, watch]
- apiGroups: [dbmigrate.dev]
  resources: [databasemigrations/status]
  verbs: [patch]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, patch]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}
