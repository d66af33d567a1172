import { RE2JS } from 're2js'
import { describeError } from '../errors.ts'
import type { Api, ClientSubscription } from '../model/api.ts'
import { keptText } from '../runtime/kept-text.ts'
import { fieldOf, type KubernetesObject, textOf } from './kubernetes-object.ts'

/** A `Subscription` of WSO2's control plane: which versions of an API it is for. Immutable. */
export interface Subscription {
  readonly told: ClientSubscription
  /** '' where the object does not say. */
  readonly organization: string
  readonly apiName: string
  /** As declared. */
  readonly version: string
  readonly takesVersion: (version: string) => boolean
}

const TEXT_MAX = 256
/** A version has at most 30 characters, an expression for some of them little more. */
const EXPRESSION_CHARS_MAX = 256
/** Instructions of the compiled program: `(a{100}){5}` is short to write and long to run. */
const PROGRAM_SIZE_MAX = 1_000

/** Of an object of that kind; what is wrong with it, as a string. */
export function subscriptionOf(object: KubernetesObject): Subscription | string {
  const spec = fieldOf(object, 'spec')
  const apiName = textOf(spec, 'api', 'name')
  const version = textOf(spec, 'api', 'version')
  if (apiName === '' || version === '') return 'it names no API, or no version of one'
  const takesVersion = versionMatcher(version)
  if (typeof takesVersion === 'string') return `its API version: ${takesVersion}`
  return {
    told: {
      name: keptText(object.metadata.name, TEXT_MAX),
      status: keptText(textOf(spec, 'subscriptionStatus'), TEXT_MAX),
      tier: keptText(textOf(spec, 'ratelimitRef', 'name'), TEXT_MAX),
    },
    organization: textOf(spec, 'organization'),
    apiName,
    version,
    takesVersion,
  }
}

/**
 * The subscription among those to the API's name that is for this API; undefined where none is, or
 * several are and no one of them names the version as it is: which of them counts is then not known.
 */
export function subscriptionTo(
  api: Pick<Api, 'version' | 'organization'>,
  named: readonly Subscription[],
): Subscription | undefined {
  const fits = named.filter(
    ({ organization, takesVersion }) =>
      (organization === '' || api.organization === '' || organization === api.organization) &&
      takesVersion(api.version),
  )
  if (fits.length <= 1) return fits[0]
  const exact = fits.filter(({ version }) => version === api.version)
  return exact.length === 1 ? exact[0] : undefined
}

type Matcher = (version: string) => boolean

/** Few versions are subscribed to, by many, in every catalogue anew. */
const made = new Map<string, Matcher | string>()
const MADE_MAX = 4_096

/**
 * As WSO2's enforcer asks: Go's `regexp.MatchString`, which is content with a match anywhere. On a
 * linear-time engine only. An expression that it refuses, or that is too big, comes back as the reason.
 */
function versionMatcher(source: string): Matcher | string {
  const known = made.get(source)
  if (known !== undefined) return known
  const matcher = compiled(source)
  if (made.size >= MADE_MAX) made.clear()
  made.set(source, matcher)
  return matcher
}

function compiled(source: string): Matcher | string {
  if (source.length > EXPRESSION_CHARS_MAX) {
    return `an expression of ${source.length} characters, more than ${EXPRESSION_CHARS_MAX}`
  }
  let program: RE2JS
  try {
    program = RE2JS.compile(source)
  } catch (error) {
    return describeError(error)
  }
  const size = program.programSize()
  if (size > PROGRAM_SIZE_MAX) {
    return `an expression of ${size} instructions, more than ${PROGRAM_SIZE_MAX}`
  }
  return (version) => program.test(version)
}
