{{/*
Made by `devloop inject --print-helm` for deployment/web. Make it again when that changes.
Include each piece where its comment says; without devloop.enabled they are empty.
*/}}

{{/* in the pod's metadata.annotations */}}
{{- define "devloop.annotations" -}}
{{- if (.Values.devloop).enabled }}
devloop.dev/injected: '{"version":1,"service":"web","container":"app","tos":["/app"],"supervise":true,"notes":["/app is a volume of its own, with the image''s own files at the start","its command runs under the launcher, which starts it anew after a sync without a restart of the container","livenessProbe is dropped, because the app is away between two starts; readiness is kept","the agent is a native sidecar and runs as the app''s user 1000"],"protected":[],"restore":{"values":{"command":["python","app.py"],"livenessProbe":{"httpGet":{"path":"/healthz","port":8000}}},"made":["args"]}}'
{{- end }}
{{- end }}

{{/* at the end of the pod's initContainers */}}
{{- define "devloop.initContainers" -}}
{{- if (.Values.devloop).enabled }}
- name: devloop-tools
  image: ghcr.io/devloop-k8s/agent:VERSION
  command:
  - python
  - -m
  - agent
  args:
  - tools
  - /devloop/tools
  securityContext:
    runAsUser: 1000
    runAsGroup: 1000
    runAsNonRoot: true
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities:
      drop:
      - ALL
    seccompProfile:
      type: RuntimeDefault
  resources:
    requests:
      cpu: 10m
      memory: 48Mi
    limits:
      memory: 512Mi
  terminationMessagePolicy: FallbackToLogsOnError
  volumeMounts:
  - mountPath: /devloop/tools
    name: devloop-tools
  - mountPath: /var/run/secrets/kubernetes.io/serviceaccount
    name: devloop-tools
    subPath: nothing
    readOnly: true
- name: devloop-seed
  image: registry.example.com/shop/web:1
  command:
  - /devloop/tools/busybox
  - sh
  - -euc
  args:
  - /devloop/tools/busybox sh /devloop/tools/seed.sh /app /devloop/sync-0 '**'
  securityContext:
    runAsUser: 1000
    runAsGroup: 1000
    runAsNonRoot: true
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities:
      drop:
      - ALL
    seccompProfile:
      type: RuntimeDefault
  resources:
    requests:
      cpu: 10m
      memory: 48Mi
    limits:
      memory: 512Mi
  terminationMessagePolicy: FallbackToLogsOnError
  volumeMounts:
  - mountPath: /devloop/tools
    name: devloop-tools
    readOnly: true
  - mountPath: /devloop/sync-0
    name: devloop-sync-0
  - mountPath: /var/run/secrets/kubernetes.io/serviceaccount
    name: devloop-tools
    subPath: nothing
    readOnly: true
- name: devloop-agent
  image: ghcr.io/devloop-k8s/agent:VERSION
  command:
  - python
  - -m
  - agent
  args:
  - serve
  - --roots
  - '[{"to":"/app","data":"/devloop/sync-0/data","stage":"/devloop/sync-0/stage","state":"/devloop/sync-0/state"}]'
  - --state
  - /devloop/key
  - --port
  - '7460'
  - --launcher
  - /devloop/run
  securityContext:
    runAsUser: 1000
    runAsGroup: 1000
    runAsNonRoot: true
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities:
      drop:
      - ALL
    seccompProfile:
      type: RuntimeDefault
  resources:
    requests:
      cpu: 10m
      memory: 48Mi
    limits:
      memory: 512Mi
  terminationMessagePolicy: FallbackToLogsOnError
  volumeMounts:
  - mountPath: /devloop/sync-0
    name: devloop-sync-0
  - mountPath: /devloop/key
    name: devloop-key
  - mountPath: /devloop/run
    name: devloop-run
  - mountPath: /var/run/secrets/kubernetes.io/serviceaccount
    name: devloop-tools
    subPath: nothing
    readOnly: true
  restartPolicy: Always
{{- end }}
{{- end }}

{{/* at the end of the pod's volumes */}}
{{- define "devloop.volumes" -}}
{{- if (.Values.devloop).enabled }}
- name: devloop-tools
  emptyDir:
    sizeLimit: 16Mi
- name: devloop-run
  emptyDir:
    sizeLimit: 64Mi
- name: devloop-key
  emptyDir:
    medium: Memory
    sizeLimit: 4Mi
- name: devloop-sync-0
  emptyDir:
    sizeLimit: 8Gi
{{- end }}
{{- end }}

{{/* at the end of the volumeMounts of the container app */}}
{{- define "devloop.volumeMounts" -}}
{{- if (.Values.devloop).enabled }}
- mountPath: /app
  name: devloop-sync-0
  subPath: data
- mountPath: /devloop/tools
  name: devloop-tools
  readOnly: true
- mountPath: /devloop/run
  name: devloop-run
{{- end }}
{{- end }}

{{/* in the container app, in place of its own and without livenessProbe */}}
{{- define "devloop.container" -}}
{{- if (.Values.devloop).enabled }}
command:
- /devloop/tools/busybox
- sh
- /devloop/tools/launcher.sh
- --grace
- '5'
- --
args:
- python
- app.py
{{- end }}
{{- end }}
