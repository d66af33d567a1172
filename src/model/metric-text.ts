import type { MetricDefinition } from './metric-definitions.ts'

/** The first two lines of a metric in the text format 0.0.4. */
export function headOf({ name, help, type }: MetricDefinition): string {
  return `# HELP ${name} ${escaped(help)}\n# TYPE ${name} ${type}\n`
}

/**
 * `a="1",b="2"`, in the order of `names`. Values may be any text: two label sets of the same names
 * never have the same text, so that it may stand for the set.
 */
export function labelTextOf(names: readonly string[], values: readonly string[]): string {
  return names
    .map((name, i) => `${name}="${escaped(values[i] ?? '').replaceAll('"', '\\"')}"`)
    .join(',')
}

/** A sample's value as the text format writes it. */
export function valueTextOf(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : `${value}`
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}
