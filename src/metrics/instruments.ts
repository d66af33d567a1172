import { Counter, Histogram, type Registry } from 'prom-client'
import type { MetricDefinition } from '../model/metric-definitions.ts'

/** A counter as it is defined; labels in the order of the definition. */
export function counterOf(registry: Registry, { name, help, labels }: MetricDefinition): Counter {
  return new Counter({ name, help, labelNames: [...labels], registers: [registry] })
}

export function histogramOf(
  registry: Registry,
  { name, help, labels, buckets }: MetricDefinition,
): Histogram {
  const upperBounds = [...(buckets ?? [])]
  const configuration = { name, help, labelNames: [...labels], buckets: upperBounds }
  return new Histogram({ ...configuration, registers: [registry] })
}
