import type { Catalogue } from '../identity/catalogue.ts'
import { type Rendered, renderFindings } from '../respond/render.ts'
import type { ResponderOptions } from '../respond/responder.ts'

/** What `respond` asks about a limit's place, answered by the catalogue of now. */
export function limitFacts(
  catalogue: () => Catalogue,
): Pick<ResponderOptions, 'targetsOf' | 'factsOf'> {
  return {
    targetsOf: (api, operation, scope) => catalogue().limitTargets(api, operation, scope),
    factsOf: (namespace, service) => {
      const now = catalogue()
      const labels = now.namespaceLabels(namespace)
      return {
        service: now.service(namespace, service),
        namespaceLabels: labels === undefined ? undefined : Object.fromEntries(labels),
        cecs: now.ciliumEnvoyConfigs(),
        routes: now.httpRoutes(),
        endpointAddresses: now.endpointAddresses(namespace, service),
      }
    },
  }
}

/** The CECs that findings (JSON of unknown shape) would cause, or why there are none. */
export function renderLimits(
  catalogue: Catalogue,
  findings: unknown,
  how: { readonly mode: 'shadow' | 'enforce'; readonly protect: readonly string[] },
): Rendered | { readonly refusal: string } {
  return renderFindings(findings, { ...how, ...limitFacts(() => catalogue) })
}
