/** The simulated cluster's inhabitants. All names and addresses are stable: docs and tests refer to them. */

export const CLUSTER_NAME = 'demo'
export const NODE_NAMES = ['node-a', 'node-b', 'node-c'] as const

export interface Pod {
  readonly name: string
  readonly namespace: string
  readonly workload: string
  readonly kind: WorkloadKind
  readonly ip: string
  /** Index into NODE_NAMES. */
  readonly node: number
  /** Cilium's security identity. */
  readonly identity: number
  /** Number of the endpoint on its own node. */
  readonly endpointId: number
  readonly labels: readonly string[]
}

type WorkloadKind = 'Deployment' | 'Job' | 'CronJob' | 'StatefulSet'

export interface Workload {
  readonly namespace: string
  readonly name: string
  readonly kind: WorkloadKind
  readonly pods: readonly [Pod, ...Pod[]]
  /** A layer 7 policy covers what it sends, so the proxy of its own node reports its calls too. */
  readonly egressPolicy: boolean
  readonly userAgent: string
}

export interface Service {
  readonly namespace: string
  readonly name: string
  readonly clusterIp: string
  readonly port: number
  readonly targetPort: number
  readonly workload: Workload
}

interface WorkloadSpec {
  readonly name: `${string}/${string}`
  readonly kind?: WorkloadKind
  readonly replicas?: number
  readonly egressPolicy?: boolean
  readonly userAgent?: string
  readonly labels?: readonly string[]
}

const SPECS: readonly WorkloadSpec[] = [
  { name: 'shop/catalog', replicas: 2 },
  { name: 'shop/orders', replicas: 2, userAgent: 'okhttp/5.1.0' },
  { name: 'shop/accounts', replicas: 2 },
  { name: 'shop/payments', replicas: 2 },
  { name: 'shop/inventory', replicas: 1 },
  { name: 'shop/web', replicas: 2, userAgent: 'node' },
  { name: 'shop/mobile-bff', replicas: 2, egressPolicy: true, userAgent: 'Go-http-client/2.0' },
  { name: 'shop/recommendations', userAgent: 'python-httpx/0.28.1' },
  { name: 'shop/search-indexer', userAgent: 'python-httpx/0.28.1' },
  { name: 'shop/notifications', userAgent: 'node' },
  { name: 'shop/loyalty', userAgent: 'okhttp/5.1.0' },
  { name: 'logistics/warehouse', userAgent: 'Java-http-client/21.0.9' },
  { name: 'backoffice/support-desk', userAgent: 'node' },
  { name: 'backoffice/admin-console', userAgent: 'node' },
  { name: 'backoffice/fraud-check', egressPolicy: true, userAgent: 'Go-http-client/1.1' },
  { name: 'backoffice/reports', kind: 'CronJob', userAgent: 'python-requests/2.32.5' },
  { name: 'partners/partner-portal', userAgent: 'Java-http-client/21.0.9' },
  { name: 'partners/partner-sync', userAgent: 'Go-http-client/1.1' },
  { name: 'labs/password-tester', kind: 'Job', userAgent: 'python-requests/2.32.5' },
  { name: 'monitoring/prometheus', kind: 'StatefulSet', userAgent: 'Prometheus/3.8.1' },
  { name: 'monitoring/blackbox-exporter', userAgent: 'Blackbox Exporter/0.28.0' },
  {
    name: 'apk/apk-wso2-apk-gateway-runtime-deployment',
    replicas: 2,
    labels: ['app.kubernetes.io/app=gateway', 'app.kubernetes.io/release=apk'],
  },
  { name: 'kube-system/coredns', replicas: 2, labels: ['k8s-app=kube-dns'] },
  { name: 'data/postgres', kind: 'StatefulSet' },
]

export const GATEWAY = 'apk/apk-wso2-apk-gateway-runtime-deployment'
/** The two that misbehave, once their time has come. */
export const PASSWORD_GUESSER = 'labs/password-tester'
export const FLOODER = 'partners/partner-sync'

/** Letters that Kubernetes uses in generated names. */
const SUFFIX_LETTERS = 'bcdfghjklmnpqrstvwxz2456789'

const WORKLOADS = buildWorkloads()

/** Ports differ on purpose: a Service's port is not its pods'. */
const SERVICES: readonly Service[] = [
  serviceOf('shop/catalog', '10.96.11.1', 8080, 8080),
  serviceOf('shop/orders', '10.96.11.2', 8080, 8081),
  serviceOf('shop/accounts', '10.96.11.3', 8080, 3000),
  serviceOf('shop/payments', '10.96.11.4', 80, 8080),
  serviceOf('shop/inventory', '10.96.11.5', 8080, 8080),
]

/** By NAMESPACE/NAME. @throws {Error} for a name that is not in the shop. */
export function workload(name: string): Workload {
  return found(WORKLOADS.get(name), name)
}

/** By name alone: all Services of the demo stand in `shop`. @throws {Error} for an unknown name. */
export function service(name: string): Service {
  return found(
    SERVICES.find((s) => s.name === name),
    name,
  )
}

export function allServices(): readonly Service[] {
  return SERVICES
}

export function allWorkloads(): readonly Workload[] {
  return [...WORKLOADS.values()]
}

/** As Hubble writes it: CLUSTER/NODE. */
export function nodeName(node: number): string {
  return `${CLUSTER_NAME}/${NODE_NAMES[node] ?? node}`
}

function found<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new Error(`Cannot find "${name}" in the demo's shop`)
  return value
}

function serviceOf(name: string, clusterIp: string, port: number, targetPort: number): Service {
  const owner = workload(name)
  const { namespace } = owner
  return { namespace, name: owner.name, clusterIp, port, targetPort, workload: owner }
}

function buildWorkloads(): Map<string, Workload> {
  const built = new Map<string, Workload>()
  const perNode = NODE_NAMES.map(() => 0)
  let placed = 0
  SPECS.forEach((spec, index) => {
    const [namespace = '', name = ''] = spec.name.split('/')
    const kind = spec.kind ?? 'Deployment'
    const place = (replica: number): Pod => {
      const node = placed++ % NODE_NAMES.length
      const onNode = (perNode[node] ?? 0) + 1
      perNode[node] = onNode
      return {
        name: podName(name, kind, index, replica),
        namespace,
        workload: name,
        kind,
        ip: `10.244.${node + 1}.${onNode + 10}`,
        node,
        identity: 20_000 + 37 * index,
        endpointId: 100 + 13 * onNode,
        labels: labelsOf(namespace, name, spec.labels),
      }
    }
    const pods: [Pod, ...Pod[]] = [place(0)]
    for (let replica = 1; replica < (spec.replicas ?? 1); replica++) pods.push(place(replica))
    built.set(spec.name, {
      namespace,
      name,
      kind,
      pods,
      egressPolicy: spec.egressPolicy ?? false,
      userAgent: spec.userAgent ?? '',
    })
  })
  return built
}

function podName(name: string, kind: WorkloadKind, index: number, replica: number): string {
  if (kind === 'StatefulSet') return `${name}-${replica}`
  const letters = (seed: number, length: number): string => {
    let text = ''
    let state = seed
    for (let i = 0; i < length; i++) {
      state = (state * 7_919 + 104_729) % 1_000_003
      text += SUFFIX_LETTERS.charAt(state % SUFFIX_LETTERS.length)
    }
    return text
  }
  const suffix = letters(1_000 * (index + 1) + replica, 5)
  if (kind === 'Job') return `${name}-${suffix}`
  if (kind === 'CronJob') return `${name}-29403${100 + index}-${suffix}`
  return `${name}-${letters(index + 1, 9)}-${suffix}`
}

function labelsOf(namespace: string, name: string, own: readonly string[] = []): string[] {
  return [
    ...(own.length > 0 ? own : [`app=${name}`]),
    `io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=${namespace}`,
    `io.cilium.k8s.policy.cluster=${CLUSTER_NAME}`,
    `io.cilium.k8s.policy.serviceaccount=${name}`,
    `io.kubernetes.pod.namespace=${namespace}`,
  ].map((label) => `k8s:${label}`)
}
