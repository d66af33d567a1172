import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseAllDocuments } from 'yaml'
import { binaryOf, serviceFolder } from './catalogue.ts'
import { type Child, removeAtExit, spawnChild, untilReady } from './child.ts'
import { freePort } from './free-port.ts'
import {
  isObject,
  type JsonObject,
  objectAt,
  objectsAt,
  parseObject,
  textAt,
} from './json-object.ts'
import { callKubernetes, type KubernetesAnswer } from './kubernetes-call.ts'

const READY_MS = 60_000
/** Of one transaction, by etcd's default. */
const ETCD_OPERATIONS_MAX = 128
const SERVED_MS = 15_000

/** A kube-apiserver with an etcd of its own and RBAC; ports, tokens and data stay until `stop`. No controller runs. */
export interface Kubernetes {
  /** `https://127.0.0.1:PORT` */
  readonly server: string
  /** PEM file of what signed the server's certificate; there once it has started. */
  readonly caFile: string
  /** Of a member of `system:masters`. */
  readonly adminToken: string
  /** Of the user `weir`, who may do nothing until RBAC says so. */
  readonly weirToken: string
  /** Of the API server that runs now: to freeze it with SIGSTOP. */
  readonly pid: number
  /** As the admin. `body` goes as JSON. */
  call(method: string, path: string, body?: object): Promise<KubernetesAnswer>
  /** Server-side apply, in order; a CRD is served when it resolves. @throws {Error} with the server's word. */
  apply(...objects: readonly object[]): Promise<void>
  /** @throws {Error} if it is not there. */
  remove(object: object): Promise<void>
  /** The CRDs that Cilium or Gateway API publish, of those plurals. */
  installCrds(origin: 'cilium' | 'gateway-api', plurals: readonly string[]): Promise<void>
  /**
   * Puts custom resources into etcd past the server, many at a time, with uids of their own: 10,000
   * take about a second. `path` is GROUP/PLURAL.
   */
  seed(path: string, objects: readonly JsonObject[]): Promise<void>
  /** etcd forgets its history: a resourceVersion from before is too old for a server that starts now. */
  compact(): Promise<void>
  /** SIGKILL to the API server: gone until `start`; etcd stays. */
  kill(): Promise<void>
  start(): Promise<void>
  /** An orderly end, then a start. */
  restart(): Promise<void>
  /** Ends both for good and removes the data. */
  stop(): Promise<void>
}

/** Takes about 3 s. */
export async function startKubernetes(): Promise<Kubernetes> {
  const folder = await mkdtemp(join(tmpdir(), 'weir-kubernetes-'))
  removeAtExit(folder)
  const [adminToken, weirToken] = [randomBytes(16).toString('hex'), randomBytes(16).toString('hex')]
  await writeFile(join(folder, 'sa.key'), signingKey())
  await writeFile(
    join(folder, 'tokens.csv'),
    `${adminToken},admin,1,"system:masters"\n${weirToken},weir,2\n`,
  )
  const etcdUrl = `http://127.0.0.1:${await freePort()}`
  const etcd = await startEtcd(etcdUrl, join(folder, 'etcd'))
  const port = await freePort()
  const server = `https://127.0.0.1:${port}`
  const caFile = join(folder, 'certificates', 'apiserver.crt')
  let child: Child | undefined

  const call = async (method: string, path: string, body?: object): Promise<KubernetesAnswer> =>
    callKubernetes(server, { caFile, token: adminToken, method, path, body })
  const start = async (): Promise<void> => {
    const args = serverArgs(folder, port, etcdUrl)
    child = spawnChild({ command: binaryOf('kubernetes', 'kube-apiserver'), args })
    const isReady = async (): Promise<boolean> =>
      existsSync(caFile) && (await call('GET', '/readyz')).status === 200
    await untilReady('kube-apiserver', child, isReady, READY_MS)
  }
  const pathOf = createPaths(call)
  const applyOne = async (object: JsonObject): Promise<void> => {
    const path = `${await pathOf(object)}?fieldManager=test&force=true`
    const { status, body } = await call('APPLY', path, object)
    if (status >= 300)
      throw new Error(`Cannot apply ${titleOf(object)}: ${textAt(body, 'message')}`)
    if (object['kind'] === 'CustomResourceDefinition') await untilServed(call, object)
  }
  const apply = async (...objects: readonly object[]): Promise<void> => {
    for (const object of objects.filter(isObject)) await applyOne(object)
  }
  await start()
  return {
    server,
    caFile,
    adminToken,
    weirToken,
    get pid() {
      return child?.pid ?? -1
    },
    call,
    apply,
    start,
    kill: async () => child?.kill(),
    async remove(object) {
      const path = await pathOf(isObject(object) ? object : {})
      const { status, body } = await call('DELETE', path)
      if (status >= 300) throw new Error(`Cannot delete ${path}: ${textAt(body, 'message')}`)
    },
    async installCrds(origin, plurals) {
      await apply(...(await readCrds(origin, plurals)))
    },
    seed: (path, objects) => seedEtcd(etcdUrl, path, objects),
    compact: () => compactEtcd(etcdUrl),
    async restart() {
      await child?.stop(READY_MS)
      await start()
    },
    async stop() {
      await Promise.all([child?.kill(), etcd.kill()])
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function signingKey(): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return privateKey.export({ type: 'pkcs1', format: 'pem' }).toString()
}

async function startEtcd(url: string, folder: string): Promise<Child> {
  const peerUrl = `http://127.0.0.1:${await freePort()}`
  const args = [
    `--data-dir=${folder}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=default=${peerUrl}`,
    '--unsafe-no-fsync',
    // As kubeadm has it: quiet resources hear how far the cluster has come, and bookmarks tell.
    '--watch-progress-notify-interval=5s',
    '--log-level=warn',
  ]
  const child = spawnChild({ command: binaryOf('kubernetes', 'etcd'), args })
  await untilReady('etcd', child, async () => (await fetch(`${url}/health`)).ok, READY_MS)
  return child
}

function serverArgs(folder: string, port: number, etcdUrl: string): string[] {
  const key = join(folder, 'sa.key')
  return [
    `--etcd-servers=${etcdUrl}`,
    '--service-account-issuer=https://weir.test',
    `--service-account-key-file=${key}`,
    `--service-account-signing-key-file=${key}`,
    '--service-cluster-ip-range=10.96.0.0/16',
    `--token-auth-file=${join(folder, 'tokens.csv')}`,
    '--authorization-mode=RBAC',
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    `--cert-dir=${join(folder, 'certificates')}`,
    '--disable-admission-plugins=ServiceAccount',
    '--allow-privileged',
    // A client that is still there must not hold up an orderly end.
    '--shutdown-delay-duration=0s',
  ]
}

/** One request of etcd's gRPC API, as JSON. */
async function callEtcd(url: string, path: string, body: object): Promise<JsonObject> {
  const answer = await fetch(`${url}/v3/kv/${path}`, { method: 'POST', body: JSON.stringify(body) })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`Cannot ask etcd for ${path}: ${text}`)
  return parseObject(text)
}

async function compactEtcd(url: string): Promise<void> {
  const { header } = await callEtcd(url, 'range', { key: base64('x') })
  const revision = isObject(header) ? textAt(header, 'revision') : ''
  await callEtcd(url, 'compaction', { revision, physical: true })
}

async function seedEtcd(url: string, path: string, objects: readonly JsonObject[]): Promise<void> {
  for (let from = 0; from < objects.length; from += ETCD_OPERATIONS_MAX) {
    const success = objects.slice(from, from + ETCD_OPERATIONS_MAX).map((object) => {
      const metadata = objectAt(object, 'metadata')
      const key = `/registry/${path}/${textAt(metadata, 'namespace')}/${textAt(metadata, 'name')}`
      const creationTimestamp = '2026-01-01T00:00:00Z'
      const stored = { ...object, metadata: { uid: randomUUID(), creationTimestamp, ...metadata } }
      return { requestPut: { key: base64(key), value: base64(JSON.stringify(stored)) } }
    })
    await callEtcd(url, 'txn', { success })
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

async function readCrds(origin: string, plurals: readonly string[]): Promise<JsonObject[]> {
  const folder = join(serviceFolder('kubernetes'), 'crds', origin)
  const wanted = new Set(plurals)
  const found: JsonObject[] = []
  for (const file of await readdir(folder)) {
    if (!file.endsWith('.yaml')) continue
    const text = await readFile(join(folder, file), 'utf8')
    for (const document of parseAllDocuments(text)) {
      const crd: unknown = document.toJS()
      if (!isObject(crd) || crd['kind'] !== 'CustomResourceDefinition') continue
      if (wanted.delete(textAt(objectAt(objectAt(crd, 'spec'), 'names'), 'plural'))) found.push(crd)
    }
  }
  if (wanted.size > 0) throw new Error(`Cannot find CRDs of ${[...wanted].join(', ')} in ${folder}`)
  return found
}

type Call = Kubernetes['call']

/** Established is not enough: the CRD's versions must have come to the lists of what is served. */
async function untilServed(call: Call, crd: JsonObject): Promise<void> {
  const spec = objectAt(crd, 'spec')
  const plural = textAt(objectAt(spec, 'names'), 'plural')
  const versions = objectsAt(spec, 'versions').filter(({ served }) => served === true)
  const deadline = Date.now() + SERVED_MS
  for (const version of versions) {
    const path = `/apis/${textAt(spec, 'group')}/${textAt(version, 'name')}`
    const isServed = async (): Promise<boolean> => {
      const { body } = await call('GET', path)
      const isThere = objectsAt(body, 'resources').some(({ name }) => name === plural)
      return isThere && (await call('GET', `${path}/${plural}?limit=1`)).status === 200
    }
    while (!(await isServed())) {
      if (Date.now() > deadline)
        throw new Error(`Cannot install ${path}/${plural}: it is not served`)
      await sleep(20)
    }
  }
}

/** Finds an object's path by the server's own word on its kind. */
function createPaths(call: Call): (object: JsonObject) => Promise<string> {
  const known = new Map<string, { readonly plural: string; readonly namespaced: boolean }>()
  return async (object) => {
    const apiVersion = textAt(object, 'apiVersion')
    const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
    const key = `${apiVersion} ${textAt(object, 'kind')}`
    if (!known.has(key)) {
      const { body } = await call('GET', root)
      for (const resource of objectsAt(body, 'resources')) {
        const plural = textAt(resource, 'name')
        if (plural.includes('/')) continue
        const namespaced = resource['namespaced'] === true
        known.set(`${apiVersion} ${textAt(resource, 'kind')}`, { plural, namespaced })
      }
    }
    const resource = known.get(key)
    if (resource === undefined) throw new Error(`Cannot find ${key}: it is not served`)
    const metadata = objectAt(object, 'metadata')
    const namespace = resource.namespaced
      ? `/namespaces/${textAt(metadata, 'namespace') || 'default'}`
      : ''
    return `${root}${namespace}/${resource.plural}/${textAt(metadata, 'name')}`
  }
}

function titleOf(object: JsonObject): string {
  return `${textAt(object, 'kind')} ${textAt(objectAt(object, 'metadata'), 'name')}`
}
