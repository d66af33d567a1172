import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { z } from 'zod'
import { configSchema } from '../../src/config/schema.ts'

const probe = z.object({ httpGet: z.object({ path: z.string(), port: z.string() }) })
const podSpec = z.object({
  serviceAccountName: z.string(),
  automountServiceAccountToken: z.literal(true),
  enableServiceLinks: z.literal(false),
  terminationGracePeriodSeconds: z.number(),
  securityContext: z.object({ runAsNonRoot: z.literal(true), runAsUser: z.number().min(1) }),
  containers: z
    .array(
      z.object({
        image: z.string(),
        args: z.array(z.string()),
        ports: z.array(z.object({ name: z.string(), containerPort: z.number() })),
        startupProbe: probe,
        livenessProbe: probe,
        readinessProbe: probe,
        securityContext: z.object({
          allowPrivilegeEscalation: z.literal(false),
          readOnlyRootFilesystem: z.literal(true),
          capabilities: z.object({ drop: z.tuple([z.literal('ALL')]) }),
        }),
        volumeMounts: z.array(z.object({ name: z.string(), mountPath: z.string() })),
      }),
    )
    .length(1),
  volumes: z.array(z.object({ name: z.string() })),
})
const shapes = {
  Deployment: z.object({
    spec: z.object({
      replicas: z.literal(1),
      selector: z.object({ matchLabels: z.record(z.string(), z.string()) }),
      template: z.object({
        metadata: z.object({ labels: z.record(z.string(), z.string()) }),
        spec: podSpec,
      }),
    }),
  }),
  Service: z.object({
    spec: z.object({
      selector: z.record(z.string(), z.string()),
      ports: z.array(z.object({ port: z.number(), targetPort: z.string() })),
    }),
  }),
  ConfigMap: z.object({ data: z.object({ 'weir.yaml': z.string() }) }),
  ClusterRole: z.object({
    rules: z.array(
      z.object({
        apiGroups: z.array(z.string()),
        resources: z.array(z.string()),
        verbs: z.array(z.string()),
      }),
    ),
  }),
  ClusterRoleBinding: z.object({
    roleRef: z.object({ kind: z.literal('ClusterRole'), name: z.string() }),
    subjects: z.array(z.object({ kind: z.string(), name: z.string(), namespace: z.string() })),
  }),
}

const kindOf = z.object({ kind: z.string(), metadata: z.object({ name: z.string() }) })
const objects = parseAllDocuments(readFileSync('deploy/weir.yaml', 'utf8')).map((document) => {
  const object: unknown = document.toJS()
  return { ...kindOf.parse(object), object }
})

function only<K extends keyof typeof shapes>(kind: K): z.output<(typeof shapes)[K]> {
  const found = objects.filter((object) => object.kind === kind)
  expect(found).toHaveLength(1)
  return shapes[kind].parse(found[0]?.object) as z.output<(typeof shapes)[K]>
}

function clusterRole(name: string) {
  const roles = objects.filter(({ kind }) => kind === 'ClusterRole')
  expect(roles.map((role) => role.metadata.name)).toEqual(['weir-reader', 'weir-enforcer'])
  return shapes.ClusterRole.parse(roles.find((role) => role.metadata.name === name)?.object)
}

describe('deploy/weir.yaml', () => {
  it('grants reading only, of no Secrets and no ConfigMaps, by name', () => {
    const { rules } = clusterRole('weir-reader')
    expect(rules.length).toBeGreaterThan(0)
    for (const { verbs, resources, apiGroups } of rules) {
      expect(verbs.filter((verb) => !['get', 'list', 'watch'].includes(verb))).toEqual([])
      expect(resources).not.toContain('secrets')
      expect(resources).not.toContain('configmaps')
      expect([...resources, ...apiGroups]).not.toContain('*')
    }
    expect(objects.map(({ kind }) => kind)).not.toContain('Role')
  })

  it('lets nobody write before a role is bound for it, and that one no more than CECs', () => {
    const { rules } = clusterRole('weir-enforcer')
    expect(rules).toEqual([
      {
        apiGroups: ['cilium.io'],
        resources: ['ciliumenvoyconfigs'],
        verbs: ['create', 'update', 'patch', 'delete'],
      },
    ])
    expect(only('ClusterRoleBinding').roleRef.name).not.toBe('weir-enforcer')
    expect(objects.map(({ kind }) => kind)).not.toContain('RoleBinding')
  })

  it('binds the reading role to the account that the pod runs as', () => {
    const { roleRef, subjects } = only('ClusterRoleBinding')
    expect(roleRef.name).toBe('weir-reader')
    const { serviceAccountName } = only('Deployment').spec.template.spec
    expect(subjects).toEqual([
      { kind: 'ServiceAccount', name: serviceAccountName, namespace: 'weir' },
    ])
  })

  it('runs a named version, without root and without a writable image', () => {
    const [container] = only('Deployment').spec.template.spec.containers
    expect(container?.image).toMatch(/:\d+\.\d+\.\d+$/)
    const { version } = z
      .object({ version: z.string() })
      .parse(JSON.parse(readFileSync('package.json', 'utf8')))
    expect(container?.image.endsWith(`:${version}`)).toBe(true)
  })

  it('is configured with what the schema knows, and observes', () => {
    const config = configSchema.parse(parse(only('ConfigMap').data['weir.yaml']))
    expect(config.respond.mode).toBe('observe')
    expect(config.hubble.sources[0]?.relay).toBe('hubble-relay.kube-system.svc.cluster.local:80')
    const { containers, terminationGracePeriodSeconds } = only('Deployment').spec.template.spec
    const mounts = containers[0]?.volumeMounts.map(({ mountPath }) => mountPath)
    expect(mounts).toEqual(expect.arrayContaining([config.stateDir, ...config.identity.manifests]))
    expect(terminationGracePeriodSeconds * 1_000).toBeGreaterThan(config.shutdownTimeout)
  })

  it('probes, serves and listens on one port', () => {
    const config = configSchema.parse(parse(only('ConfigMap').data['weir.yaml']))
    const { spec, metadata } = only('Deployment').spec.template
    const [container] = spec.containers
    const [port] = container?.ports ?? []
    expect(config.console.listen).toBe(`0.0.0.0:${port?.containerPort}`)
    expect([container?.startupProbe, container?.livenessProbe]).toEqual([
      { httpGet: { path: '/livez', port: port?.name } },
      { httpGet: { path: '/livez', port: port?.name } },
    ])
    expect(container?.readinessProbe.httpGet).toEqual({ path: '/readyz', port: port?.name })
    const service = only('Service').spec
    expect(service.ports).toEqual([{ port: port?.containerPort, targetPort: port?.name }])
    expect(metadata.labels).toMatchObject(service.selector)
    expect(metadata.labels).toMatchObject(only('Deployment').spec.selector.matchLabels)
  })

  it('mounts every volume that it has, and no other', () => {
    const { containers, volumes } = only('Deployment').spec.template.spec
    const mounted = containers[0]?.volumeMounts.map(({ name }) => name).toSorted()
    expect(volumes.map(({ name }) => name).toSorted()).toEqual(mounted)
  })
})

describe('Dockerfile', () => {
  const lines = readFileSync('Dockerfile', 'utf8').split('\n')
  const runtime = lines.slice(lines.findLastIndex((line) => line.startsWith('FROM ')))

  it('ends in a stage without root, without sources, without development packages', () => {
    expect(runtime.find((line) => line.startsWith('USER '))).toMatch(/^USER [1-9]\d*:[1-9]\d*$/)
    expect(runtime.join('\n')).not.toMatch(/COPY .*\b(?:src|test)\b|npm /)
    expect(runtime).toContain('COPY --from=dependencies /app/node_modules ./node_modules')
    expect(lines).toContain('RUN npm ci --omit=dev --ignore-scripts')
  })

  it('copies nothing that .dockerignore keeps out', () => {
    const ignore = readFileSync('.dockerignore', 'utf8').split('\n')
    const kept = ignore.filter((line) => line.startsWith('!')).map((line) => line.slice(1))
    const copied = lines
      .filter((line) => /^COPY (?!--from)/.test(line))
      .flatMap((line) => line.split(' ').slice(1, -1))
    expect(ignore).toContain('*')
    expect([...new Set(copied)].toSorted()).toEqual(kept.toSorted())
  })
})
