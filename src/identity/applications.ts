import type { Api, ClientApplication } from '../model/api.ts'
import { keptText } from '../runtime/kept-text.ts'
import {
  fieldOf,
  type KubernetesObject,
  listOf,
  namespaceOf,
  type ObjectIndex,
  textOf,
  titleOf,
} from './kubernetes-object.ts'
import type { CatalogueProblem } from './route.ts'
import { type Subscription, subscriptionOf, subscriptionTo } from './subscriptions.ts'

const CP_GROUP = 'cp.wso2.com'
const TEXT_MAX = 256
/** Subscriptions of one application to APIs of one name: each is asked for every call. */
const SUBSCRIPTIONS_MAX = 20
/** Objects that are taken up between two rests. */
const STEP = 200

interface Application {
  readonly title: string
  readonly name: string
  readonly owner: string
  readonly organization: string
  /** By the name of the API. */
  readonly subscriptions: Map<string, Subscription[]>
  /** The same answer is the same object. By key type, then by subscription. */
  readonly told: Map<string, Map<Subscription | undefined, ClientApplication>>
}

/** One OAuth client id of an application. */
interface ApplicationKey {
  readonly application: Application
  /** `PRODUCTION`, `SANDBOX`; ''. */
  readonly keyType: string
}

type Report = (problem: CatalogueProblem) => void

/** The applications of WSO2's control plane, with what they subscribed to. Immutable. */
export class Applications {
  readonly #byClientId: ReadonlyMap<string, readonly ApplicationKey[]>

  constructor(byClientId: ReadonlyMap<string, readonly ApplicationKey[]>) {
    this.#byClientId = byClientId
  }

  /** Client ids that are known. */
  get size(): number {
    return this.#byClientId.size
  }

  /** `hash` as `exchange` hashes identity values: no client id is ever seen as it is. */
  hashed(hash: (clientId: string) => string): HashedApplications {
    const byHash = new Map<string, readonly ApplicationKey[]>()
    for (const [clientId, keys] of this.#byClientId) byHash.set(hash(clientId), keys)
    return new HashedApplications(byHash)
  }
}

/** Finds the application behind a call by the hashes of its identity headers. */
export class HashedApplications {
  readonly #byHash: ReadonlyMap<string, readonly ApplicationKey[]>

  constructor(byHash: ReadonlyMap<string, readonly ApplicationKey[]>) {
    this.#byHash = byHash
  }

  /**
   * The application of the first of `values` that is a client id, and what it subscribed to of `api`.
   * undefined where none is, or where two applications have it.
   */
  find(values: readonly string[], api: Api | null): ClientApplication | undefined {
    for (const value of values) {
      const keys = this.#byHash.get(value)
      if (keys !== undefined) return applicationOf(keys, api)
    }
    return undefined
  }
}

/** Makes the index, and rests often: whoever drives it may let others run. */
export function* readApplications(
  objects: ObjectIndex,
  report: Report,
): Generator<void, Applications> {
  const byRef = new Map<string, Application>()
  const byClientId = new Map<string, ApplicationKey[]>()
  for (const [index, object] of objects.all(CP_GROUP, 'Application').entries()) {
    const application = read(object)
    byRef.set(`${namespaceOf(object)}/${object.metadata.name}`, application)
    for (const entry of listOf(object, 'spec', 'securitySchemes', 'oauth2', 'environments')) {
      addKey(byClientId, textOf(entry, 'appId'), application, textOf(entry, 'keyType'), report)
    }
    if (index % STEP === 0) yield
  }
  const subscriptions = new Map<string, Subscription | null>()
  for (const [index, object] of objects.all(CP_GROUP, 'Subscription').entries()) {
    const subscription = subscriptionOf(object)
    const isWrong = typeof subscription === 'string'
    if (isWrong) report({ object: titleOf(object), reason: subscription })
    const ref = `${namespaceOf(object)}/${object.metadata.name}`
    subscriptions.set(ref, isWrong ? null : subscription)
    if (index % STEP === 0) yield
  }
  for (const [index, object] of objects.all(CP_GROUP, 'ApplicationMapping').entries()) {
    const at = namespaceOf(object)
    const applicationRef = textOf(object, 'spec', 'applicationRef')
    const subscriptionRef = textOf(object, 'spec', 'subscriptionRef')
    const application = byRef.get(`${at}/${applicationRef}`)
    const subscription = subscriptions.get(`${at}/${subscriptionRef}`)
    const problem = (reason: string): void => report({ object: titleOf(object), reason })
    if (application === undefined) problem(`its Application ${applicationRef} is not there`)
    else if (subscription === undefined) problem(`its Subscription ${subscriptionRef} is not there`)
    else if (subscription !== null) subscribe(application, subscription, problem)
    if (index % STEP === 0) yield
  }
  return new Applications(byClientId)
}

function read(object: KubernetesObject): Application {
  const spec = fieldOf(object, 'spec')
  return {
    title: titleOf(object),
    name: keptText(textOf(spec, 'name') || object.metadata.name, TEXT_MAX),
    owner: keptText(textOf(spec, 'owner'), TEXT_MAX),
    organization: keptText(textOf(spec, 'organization') || namespaceOf(object), TEXT_MAX),
    subscriptions: new Map(),
    told: new Map(),
  }
}

/** An id that two applications of one organization have names neither; the id itself is told nowhere. */
function addKey(
  byClientId: Map<string, ApplicationKey[]>,
  clientId: string,
  application: Application,
  keyType: string,
  report: Report,
): void {
  if (clientId === '') return
  const keys = byClientId.get(clientId)
  const key = { application, keyType: keptText(keyType, TEXT_MAX) }
  if (keys === undefined) {
    byClientId.set(clientId, [key])
    return
  }
  const other = keys.find(
    (known) =>
      known.application !== application &&
      known.application.organization === application.organization,
  )
  if (other !== undefined) {
    const reason = `${other.application.title} has the same client id: it names neither of them`
    report({ object: application.title, reason })
  }
  const isKnown = keys.some(
    (known) => known.application === application && known.keyType === key.keyType,
  )
  if (!isKnown) keys.push(key)
}

function subscribe(
  application: Application,
  subscription: Subscription,
  problem: (reason: string) => void,
): void {
  const { apiName } = subscription
  const named = application.subscriptions.get(apiName)
  if (named === undefined) application.subscriptions.set(apiName, [subscription])
  else if (named.includes(subscription)) return
  else if (named.length < SUBSCRIPTIONS_MAX) named.push(subscription)
  else {
    const many = `more than ${SUBSCRIPTIONS_MAX} subscriptions to APIs of one name`
    problem(`${application.title} has ${many}: this one is left out`)
  }
}

function applicationOf(
  all: readonly ApplicationKey[],
  api: Api | null,
): ClientApplication | undefined {
  // Each organization has a key space of its own, and each environment keys of its own.
  const own = narrowed(all, ({ application }) => application.organization === api?.organization)
  const [first] = own
  if (first === undefined) return undefined
  const { application } = first
  if (own.some((key) => key.application !== application)) return undefined
  const sandbox = api?.environment === 'sandbox'
  const keys =
    api === null
      ? own
      : narrowed(own, ({ keyType }) => (keyType.toUpperCase() === 'SANDBOX') === sandbox)
  const keyType = keys.every((key) => key.keyType === keys[0]?.keyType)
    ? (keys[0]?.keyType ?? '')
    : ''
  const named = api === null ? undefined : application.subscriptions.get(api.name)
  const subscription = api === null || named === undefined ? undefined : subscriptionTo(api, named)
  return told(application, keyType, subscription)
}

/** Those that `keep` takes; all of them where it takes none, or there is nothing to choose. */
function narrowed(
  keys: readonly ApplicationKey[],
  keep: (key: ApplicationKey) => boolean,
): readonly ApplicationKey[] {
  if (keys.length <= 1) return keys
  const kept = keys.filter(keep)
  return kept.length === 0 ? keys : kept
}

function told(
  application: Application,
  keyType: string,
  subscription: Subscription | undefined,
): ClientApplication {
  let bySubscription = application.told.get(keyType)
  if (bySubscription === undefined) {
    bySubscription = new Map()
    application.told.set(keyType, bySubscription)
  }
  const known = bySubscription.get(subscription)
  if (known !== undefined) return known
  const { name, owner, organization } = application
  const answer = {
    name,
    owner,
    organization,
    keyType,
    ...(subscription !== undefined && { subscription: subscription.told }),
  }
  bySubscription.set(subscription, answer)
  return answer
}
