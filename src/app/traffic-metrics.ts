import type { Config } from '../config/schema.ts'
import { dropReasonName } from '../hubble/drop-reason.ts'
import { API_METRICS_OUTCOMES, createApiMetrics } from '../metrics/api-metrics.ts'
import { createNetworkMetrics, NETWORK_METRICS_OUTCOMES } from '../metrics/network-metrics.ts'
import type { EndpointTable } from '../model/endpoint.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import { sourceClustersOf } from './sources.ts'

/** What calls and flows count in, bounded as the configuration says: sinks of the pipeline. */
export function createTrafficMetrics(
  config: Config,
  telemetry: Telemetry,
  endpoints: EndpointTable,
) {
  const { apis, operations, workloads } = config.metrics.budgets
  const options = {
    apisMax: apis,
    operationsMax: operations,
    workloadsMax: workloads,
    clusters: [...sourceClustersOf(config).values()],
    onOverflow: (label: string) => telemetry.labelOverflow(label),
    dropReasonOf: dropReasonName,
  }
  const network = createNetworkMetrics(telemetry.cells, options)
  endpoints.onEvict((endpoint) => network.forget(endpoint))
  const api = createApiMetrics(telemetry.cells, options)
  return {
    network: { name: 'network_metrics', sink: network, outcomes: NETWORK_METRICS_OUTCOMES },
    api: { name: 'metrics', sink: api, outcomes: API_METRICS_OUTCOMES },
  }
}
