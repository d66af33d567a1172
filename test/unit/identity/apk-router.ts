import type { RuleFields } from './objects.ts'

/**
 * APK's router, written down a second time and straight forward (wso2/apk 1.3.0,
 * adapter/internal/oasparser): the expression that it matches, and what it puts in its place.
 */
export interface ForwardApi {
  readonly context: string
  readonly version: string
  readonly isDefaultVersion: boolean
  /** Base path of the backend. */
  readonly before: string
}

interface ForwardRoute {
  readonly match: RegExp
  readonly put: string
  /** undefined: all. */
  readonly method: string | undefined
}

const quoted = (text: string): string => text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&')
const bare = (text: string): string => text.replace(/\/$/, '')

function routeOf(api: ForwardApi, rule: RuleFields, full: string): ForwardRoute {
  const { path, type = 'PathPrefix', full: fullTarget, prefix, method } = rule
  const base = bare(api.context)
  const rewritten = fullTarget ?? prefix
  const target = rewritten === undefined ? bare(api.before) + path : api.before + rewritten
  const keepsRest = type === 'PathPrefix' && fullTarget === undefined
  const own = bare(type === 'Exact' ? full : full.replace(base, () => quoted(base)))
  switch (type) {
    case 'Exact':
      return { match: new RegExp(`^${quoted(own)}([/]{0,1})$`), put: target, method }
    case 'RegularExpression':
      return { match: new RegExp(`^${own}([/]{0,1})$`), put: target, method }
    default:
      return {
        match: new RegExp(`^${own}((?:/.*)*)$`),
        put: bare(target) + (keepsRest ? '\\1' : ''),
        method,
      }
  }
}

/** What the backend sees of `path` by this rule; null where the router does not match it. */
export function sentByApk(
  api: ForwardApi,
  rule: RuleFields,
  method: string,
  path: string,
): string | null {
  const full = api.context + rule.path
  const part = bare(api.context).includes(`.${api.version}`) ? `.${api.version}` : `/${api.version}`
  const fulls = [full, ...(api.isDefaultVersion ? [full.replace(part, '')] : [])]
  for (const own of fulls) {
    const route = routeOf(api, rule, own)
    if (route.method !== undefined && route.method !== method) continue
    const found = route.match.exec(path)
    if (found === null) continue
    return route.put.replace(/\\(\d)/g, (_, group: string) => found[Number(group)] ?? '') || '/'
  }
  return null
}
