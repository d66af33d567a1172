import { ConfigError } from '../errors.ts'

/** What a rule is, as data: for the configuration's schema, its reference, and `check`. */
export interface RuleDescription {
  readonly id: string
  /** Rises whenever the rule may decide differently on the same calls. */
  readonly version: number
  /** What its findings claim, in the vocabulary of findings' `kind`. */
  readonly kind: string
  readonly summary: string
  readonly thresholds: { readonly [name: string]: Threshold }
}

interface Threshold {
  readonly value: number
  readonly min: number
  readonly max: number
  readonly meaning: string
}

/** One rule as a user wants it; what is absent keeps its default. */
export interface RuleOptions {
  readonly id: string
  readonly enabled?: boolean | undefined
  readonly thresholds?: { readonly [name: string]: number } | undefined
}

const threshold = (value: number, min: number, max: number, meaning: string): Threshold => ({
  value,
  min,
  max,
  meaning,
})

/** Sequential test on failed sign-ins: Jung et al. 2004, "Fast Portscan Detection Using Sequential Hypothesis Testing". */
const AUTH_BRUTEFORCE = {
  id: 'auth-bruteforce',
  version: 1,
  kind: 'bruteforce',
  summary: 'One client fails to sign in far more often than clients of that operation do.',
  thresholds: {
    populationFactor: threshold(1.5, 1, 10, "p0 = this times the population's failure rate"),
    p0Min: threshold(0.15, 0.01, 0.9, 'p0 is never below'),
    p0Max: threshold(0.25, 0.01, 0.9, 'p0 is never above; it is p0 while there is no baseline'),
    p1: threshold(0.92, 0.1, 0.999, 'share of failures expected of an attacker'),
    llr: threshold(6.4, 1, 100, 'fires above this log-likelihood ratio'),
    llrMin: threshold(-3, -100, 0, 'a good past counts for no more than this'),
    halfLifeMinutes: threshold(60, 1, 10_080, 'evidence halves in this time'),
    failuresMin: threshold(5, 2, 10_000, 'fires at no fewer failures'),
    knownSuccesses: threshold(20, 1, 1e6, 'successes that make a client a known good one'),
    knownFailuresMin: threshold(10, 2, 10_000, 'a known good client fires at no fewer failures'),
    highFailures: threshold(20, 2, 1e6, 'severity is high from this many failures on'),
    suggestedPerSecond: threshold(1, 1, 1_000, 'requests a second that the suggested limit passes'),
  },
} as const satisfies RuleDescription

const REQUEST_FLOOD = {
  id: 'request-flood',
  version: 2,
  kind: 'flood',
  summary: 'One client sends far more requests to an API than its clients do, and than it did.',
  thresholds: {
    windowSeconds: threshold(60, 5, 600, 'length of the sliding window; the rates are a minute'),
    floorPerMinute: threshold(120, 1, 1e6, 'fires at no lower rate'),
    warmFloorPerMinute: threshold(240, 1, 1e6, 'the same before `samplesMin`'),
    samplesMin: threshold(200, 1, 1e6, 'client-windows after which the lower floor holds'),
    p99Factor: threshold(4, 1, 100, "fires at this times the population's p99"),
    ownMaxFactor: threshold(2, 1, 100, "fires at this times the client's own earlier maximum"),
    highFactor: threshold(3, 1, 1_000, 'severity is high at this times the threshold'),
    criticalFactor: threshold(10, 1, 10_000, 'severity is critical at this times the threshold'),
    dominantShare: threshold(
      0.5,
      0.1,
      1,
      'an address or workload with more than this share of an API is a gateway, not a client; 1: none',
    ),
    workloadSustainSeconds: threshold(
      180,
      0,
      3_600,
      'a workload in the cluster must keep it up this long, for batch jobs burst; 0: fires at once',
    ),
    harmShare: threshold(
      0.05,
      0,
      1,
      'unless this share of its requests was answered with 5xx: then it fires at once',
    ),
    operationShare: threshold(0.9, 0.5, 1, 'the suggested limit is on one operation from here on'),
    suggestedFactor: threshold(
      2.5,
      1,
      100,
      "the suggested limit is this times the population's p99",
    ),
  },
} as const satisfies RuleDescription

/** Every rule with its documented defaults, in the order in which the rules see a call. */
export const DETECT_RULES: readonly RuleDescription[] = [AUTH_BRUTEFORCE, REQUEST_FLOOD]

type Values<Rule extends RuleDescription> = {
  readonly [Name in keyof Rule['thresholds']]: number
}
export type BruteforceThresholds = Values<typeof AUTH_BRUTEFORCE>
export type FloodThresholds = Values<typeof REQUEST_FLOOD>

/** The rules to run with their thresholds in force; null: switched off. */
export interface RuleSettings {
  readonly bruteforce: BruteforceThresholds | null
  readonly flood: FloodThresholds | null
}

/** @throws {ConfigError} naming every unknown rule or threshold, and every value out of its range. */
export function rulesOf(wanted: readonly RuleOptions[]): RuleSettings {
  const problems: string[] = []
  for (const [at, { id }] of wanted.entries()) {
    if (!DETECT_RULES.some((rule) => rule.id === id)) {
      const known = DETECT_RULES.map((rule) => rule.id).join(', ')
      problems.push(`detect.rules: no rule "${id}" (there are: ${known})`)
    } else if (wanted.findIndex((other) => other.id === id) !== at) {
      problems.push(`detect.rules: "${id}" stands twice`)
    }
  }
  const settings = {
    bruteforce: valuesOf(AUTH_BRUTEFORCE, wanted, problems),
    flood: valuesOf(REQUEST_FLOOD, wanted, problems),
  }
  const { bruteforce } = settings
  if (
    bruteforce !== null &&
    !(bruteforce.p0Min <= bruteforce.p0Max && bruteforce.p0Max < bruteforce.p1)
  ) {
    problems.push('detect.rules: auth-bruteforce needs p0Min ≤ p0Max < p1')
  }
  if (problems.length > 0) throw new ConfigError(`Cannot use the rules:\n${problems.join('\n')}`)
  return settings
}

function valuesOf<Rule extends RuleDescription>(
  rule: Rule,
  wanted: readonly RuleOptions[],
  problems: string[],
): Values<Rule> | null {
  const options = wanted.find(({ id }) => id === rule.id)
  const values: { [name: string]: number } = {}
  for (const [name, { value }] of Object.entries(rule.thresholds)) values[name] = value
  for (const [name, value] of Object.entries(options?.thresholds ?? {})) {
    const known = Object.hasOwn(rule.thresholds, name) ? rule.thresholds[name] : undefined
    if (known === undefined) {
      const names = Object.keys(rule.thresholds).join(', ')
      problems.push(`detect.rules: ${rule.id} has no threshold "${name}" (it has: ${names})`)
    } else if (!(value >= known.min && value <= known.max)) {
      problems.push(
        `detect.rules: ${rule.id}.${name} must be ${known.min} to ${known.max} (now: ${value})`,
      )
    }
    values[name] = value
  }
  // Built from exactly the rule's own names; the compiler cannot follow `Object.entries`.
  return options?.enabled === false ? null : (values as Values<Rule>)
}
