import type { Writable } from 'node:stream'
import { createApp } from '../app.ts'
import { loadConfig } from '../config/load.ts'
import { appIo } from './app-io.ts'
import type { CommonFlags } from './flags.ts'
import type { Io } from './io.ts'
import { print } from './io.ts'
import { type ReplayJson, ReplaySummary } from './replay-summary.ts'

export interface ReplayFlags extends CommonFlags {
  readonly manifests?: string[]
}

const ROWS_MAX = 25

/** Captures through the whole pipeline, merged by time; one summary on standard output. */
export async function replay(
  io: Io,
  files: readonly string[],
  flags: ReplayFlags,
): Promise<number> {
  const { config, warnings } = loadConfig({
    file: flags.config,
    environment: io.environment,
    overrides: {
      ...(flags.manifests === undefined ? {} : { identity: { manifests: flags.manifests } }),
      log: { level: flags.logLevel ?? 'warn' },
    },
  })
  for (const warning of warnings) print(io.stderr, `Warning: ${warning}`)
  const summary = new ReplaySummary()
  const app = createApp(config, {
    ...appIo(io),
    captures: files,
    headless: true,
    onFlow: (view) => summary.flow(view),
    onNotice: (notice) => summary.notice(notice),
    onCall: (call) => summary.accept(call),
    onFinding: (finding) => summary.findings.set(finding.id, finding),
  })
  await app.run(io.stop)
  const json = summary.json(app.ledger.accounts())
  if (flags.json === true) print(io.stdout, JSON.stringify(json))
  else printSummary(io.stdout, json)
  return 0
}

function printSummary(out: Writable, json: ReplayJson): void {
  const rejected = Object.entries(json.rejected).map(([reason, count]) => `${count} ${reason}`)
  print(
    out,
    `${json.flows} flows: ${json.requests} requests, ${json.responses} responses; ${json.duplicates} duplicates, ${json.lost} lost${rejected.length > 0 ? `, rejected: ${rejected.join(', ')}` : ''}`,
  )
  print(
    out,
    `${json.calls} calls: ${json.paired} paired (${json.estimated} latencies estimated), ${json.unanswered} unanswered, ${json.unrequested} answers without a request; ${json.unaccounted} unaccounted`,
  )
  for (const row of json.apis.slice(0, ROWS_MAX)) {
    const { api, operation } = row
    const name = api === null ? `(${row.workload ?? 'unknown'})` : `${api.name} ${api.version}`
    const what = operation === null ? '' : ` ${operation.method} ${operation.template}`
    const status = Object.entries(row.status).map(([code, count]) => `${code}×${count}`)
    const latency = row.p50_ms === null ? '' : `  p50 ${row.p50_ms} ms, p95 ${row.p95_ms} ms`
    print(
      out,
      `  ${name}${what} [${row.confidence}]: ${row.calls} calls  ${status.join(' ')}${latency}`,
    )
  }
  if (json.apis.length > ROWS_MAX)
    print(out, `  … ${json.apis.length - ROWS_MAX} more rows; --json has all`)
  for (const finding of json.findings) {
    print(out, `Finding ${finding.id} (${finding.severity}): ${finding.sentence}`)
  }
}
