import { setImmediate as turn } from 'node:timers/promises'
import { resolveAtBackend } from '../src/identity/backend-resolver.ts'
import { buildCatalogue } from '../src/identity/build-catalogue.ts'
import type { Catalogue } from '../src/identity/catalogue.ts'
import { resolveAtGateway } from '../src/identity/gateway-resolver.ts'
import type { KubernetesObject } from '../src/identity/kubernetes-object.ts'

const APIS = Number(process.argv[2] ?? 10_000)
const OPERATIONS = 20
const LOOKUPS = 20_000
const ROUNDS = 5
/** Lookups between two looks at the clock, which has no finer hand than one of them takes. */
const BATCH = 20
/** Requests that come again and again. */
const FEW = 60
const WORDS = ['orders', 'carts', 'items', 'users', 'prices', 'stock', 'labels', 'returns']

/** APIs of APK, 20 operations each as its generator writes them; a Service for each, or one for all. */
function objectsOf(isShared: boolean): KubernetesObject[] {
  const objects: KubernetesObject[] = []
  for (let n = 0; n < APIS; n++) {
    const service = isShared ? 'shared' : `svc-${n}`
    objects.push(
      object('dp.wso2.com/v1alpha2', 'API', `api-${n}`, {
        apiName: `api-${n}`,
        apiVersion: '1.0.0',
        apiType: 'REST',
        basePath: `/api-${n}/1.0.0`,
        organization: 'acme',
        production: [{ routeRefs: [`route-${n}`] }],
      }),
      object('gateway.networking.k8s.io/v1', 'HTTPRoute', `route-${n}`, {
        hostnames: ['gw.example.com'],
        rules: Array.from({ length: OPERATIONS }, (_, i) => ruleOf(n, i, isShared)),
      }),
      object('dp.wso2.com/v1alpha1', 'Backend', `backend-${n}`, {
        services: [{ host: `${service}.shop`, port: 8080 }],
      }),
    )
  }
  return objects
}

function ruleOf(n: number, i: number, isShared: boolean): object {
  const word = WORDS[i % WORDS.length] ?? 'x'
  const [path, put] = [
    [`/${word}/([^/]+)/v${i}`, `/${word}/\\1/v${i}`],
    [`/${word}/v${i}/(.*)`, `/${word}/v${i}/\\1`],
  ][i % 2] ?? ['', '']
  const before = isShared ? `/a${n}` : ''
  return {
    matches: [{ method: 'GET', path: { type: 'RegularExpression', value: path } }],
    filters: [
      {
        type: 'URLRewrite',
        urlRewrite: { path: { type: 'ReplaceFullPath', replaceFullPath: `${before}${put}` } },
      },
    ],
    backendRefs: [{ group: 'dp.wso2.com', kind: 'Backend', name: `backend-${n}` }],
  }
}

function object(apiVersion: string, kind: string, name: string, spec: object): KubernetesObject {
  return { apiVersion, kind, metadata: { name, namespace: 'shop' }, spec }
}

interface Asked {
  readonly service: string
  readonly path: string
  readonly full: string
}

/** Number `k` of distinct requests. */
function askedAs(k: number, isShared: boolean): Asked {
  const n = (k * 7_919) % APIS
  const i = k % OPERATIONS
  const word = WORDS[i % WORDS.length] ?? 'x'
  const path = i % 2 === 0 ? `/${word}/id-${k}/v${i}` : `/${word}/v${i}/id-${k}`
  return {
    service: fresh(`shop/${isShared ? 'shared' : `svc-${n}`}`),
    path: fresh(`${isShared ? `/a${n}` : ''}${path}`),
    full: fresh(`/api-${n}/1.0.0${path}`),
  }
}

/** As flows bring it: just decoded, and shared with nothing before. */
const fresh = (text: string): string => Buffer.from(text).toString('latin1')

interface Times {
  readonly median_us: number
  readonly p99_us: number
}

/** Median and 99th percentile of one lookup in µs, over batches. `ask(k)` makes number `k` anew. */
function timed(ask: (k: number) => Asked, lookup: (asked: Asked) => { api: unknown }): Times {
  const times: number[] = []
  for (let start = 0; start < LOOKUPS; start += BATCH) {
    const batch = Array.from({ length: BATCH }, (_, k) => ask(start + k))
    const startNs = process.hrtime.bigint()
    for (const one of batch)
      if (lookup(one).api === null) throw new Error(`Cannot find ${one.full}`)
    times.push(Number(process.hrtime.bigint() - startNs) / 1_000 / BATCH)
  }
  const sorted = times.toSorted((a, b) => a - b)
  const at = (q: number): number =>
    Math.round((sorted[Math.floor(q * sorted.length)] ?? 0) * 1_000) / 1_000
  return { median_us: at(0.5), p99_us: at(0.99) }
}

function lookups(catalogue: Catalogue, isShared: boolean): object {
  const atBackend = ({ service, path }: Asked) =>
    resolveAtBackend(catalogue, {
      method: 'GET',
      path,
      destination: { service, ip: '', port: 8080, names: [], endpoint: null, host: 'x' },
      behindGateway: false,
    })
  const atGateway = ({ full }: Asked) =>
    resolveAtGateway(catalogue, {
      method: 'GET',
      host: 'gw.example.com',
      path: full,
      headers: null,
      query: null,
    })
  const result: Record<string, Times> = {}
  // The least disturbed round counts: the machine is shared.
  const best = (name: string, times: Times): void => {
    const known = result[name]
    if (known === undefined || times.median_us < known.median_us) result[name] = times
  }
  const all = (k: number): Asked => askedAs(k, isShared)
  const few = (k: number): Asked => askedAs(k % FEW, isShared)
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, lookup] of [
      ['backend', atBackend],
      ['gateway', atGateway],
    ] as const) {
      catalogue.cache.clear()
      best(`${name}_miss`, timed(all, lookup))
      for (let k = 0; k < FEW; k++) lookup(few(k))
      best(`${name}_hit`, timed(few, lookup))
    }
  }
  return result
}

/** How long the event loop was held up at most, in ms, while `work` ran. */
async function heldUp<T>(work: Promise<T>): Promise<{ result: T; maxMs: number }> {
  let maxMs = 0
  let isDone = false
  const watch = async (): Promise<void> => {
    let lastMs = performance.now()
    while (!isDone) {
      await turn()
      maxMs = Math.max(maxMs, performance.now() - lastMs)
      lastMs = performance.now()
    }
  }
  const watching = watch()
  const result = await work
  isDone = true
  await watching
  return { result, maxMs }
}

async function measure(isShared: boolean): Promise<object> {
  const objects = objectsOf(isShared)
  const startMs = performance.now()
  const before = process.cpuUsage()
  const { result: catalogue, maxMs } = await heldUp(buildCatalogue(objects))
  const buildMs = performance.now() - startMs
  const { user, system } = process.cpuUsage(before)
  if (catalogue.problems.length > 0) throw new Error('Cannot measure: the manifests are wrong')
  return {
    services: isShared ? 1 : APIS,
    build_ms: Math.round(buildMs),
    build_cpu_ms: Math.round((user + system) / 1_000),
    held_up_ms: Math.round(maxMs),
    heap_mb: Math.round(process.memoryUsage().heapUsed / 2 ** 20),
    ...lookups(catalogue, isShared),
  }
}

const apart = await measure(false)
const shared = await measure(true)
process.stdout.write(
  `${JSON.stringify({ apis: APIS, operations: OPERATIONS, apart, shared }, null, 2)}\n`,
)
