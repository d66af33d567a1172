import type { BackendMatch, LimitTarget } from '../model/api.ts'
import type { Route } from './route.ts'

/** What the Services behind `routes` see of them, each match once, in the order of declaration. */
export function limitTargetsOf(routes: readonly Route[]): LimitTarget[] {
  const byService = new Map<string, { target: LimitTarget; matches: Map<string, BackendMatch> }>()
  for (const route of routes) {
    for (const { namespace, service, port, paths, mirror } of route.backends) {
      // Copies are not what the client called.
      if (service === '' || mirror) continue
      const key = `${namespace}/${service}:${port}`
      const known = byService.get(key)
      const matches = known?.matches ?? new Map<string, BackendMatch>()
      if (known === undefined) {
        byService.set(key, { target: { namespace, service, port, matches: [] }, matches })
      }
      for (const path of paths) {
        const match = {
          method: route.method === '*' ? null : route.method,
          pathRegex: path.source,
          template: route.operation.template,
        }
        // The routes of a default version say the same twice.
        matches.set(`${match.method} ${match.pathRegex}`, match)
      }
    }
  }
  return [...byService.values()].map(({ target, matches }) => ({
    ...target,
    matches: [...matches.values()],
  }))
}
