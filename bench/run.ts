import { messages, VARIANTS } from './stages.ts'

/** Rounds that count; two before them warm up. Variants take turns within a round. */
const ROUNDS = 7
const WARM_UP = 2

const micros = new Map<string, number[]>(VARIANTS.map(({ name }) => [name, []]))
let checksum = 0 // Keeps results alive, so that nothing is optimised away.
for (let round = -WARM_UP; round < ROUNDS; round++) {
  for (const { name, run } of VARIANTS) {
    const before = process.cpuUsage()
    checksum += run()
    const { user, system } = process.cpuUsage(before)
    if (round >= 0) micros.get(name)?.push((user + system) / messages.length)
  }
}

const results = [...micros].map(([name, values]) => {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (i: number) => Math.round((sorted[i] ?? 0) * 100) / 100
  return { name, median: at(ROUNDS >> 1), min: at(0), max: at(ROUNDS - 1) }
})
const base = results[0]?.median ?? 1
const report = results.map((row) => ({
  ...row,
  ratio: Math.round((row.median / base) * 100) / 100,
}))

if (process.argv.includes('--json')) {
  process.stdout.write(`${JSON.stringify({ unit: 'us_cpu_per_flow', rows: report, checksum })}\n`)
} else {
  process.stdout.write(`${messages.length} messages, ${ROUNDS} rounds; CPU µs a flow\n`)
  for (const { name, median, min, max, ratio } of report) {
    const figures = `${median.toFixed(2)} (${min.toFixed(2)}-${max.toFixed(2)})`
    process.stdout.write(`${name.padEnd(24)} ${figures.padEnd(22)} ×${ratio.toFixed(2)}\n`)
  }
}
