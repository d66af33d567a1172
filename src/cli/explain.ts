import { createApp, openCatalogue } from '../app.ts'
import { UsageError } from '../errors.ts'
import type { ApiCall } from '../model/api-call.ts'
import { FlowKind, type FlowView } from '../model/flow-view.ts'
import { appIo } from './app-io.ts'
import { CaptureLineMatch, lineOfCapture } from './capture-line.ts'
import { type Io, print } from './io.ts'
import { configWithManifests, type ManifestFlags } from './manifest-flags.ts'

export interface ExplainCallFlags extends ManifestFlags {
  readonly id?: string
  readonly requestId?: string
  readonly line?: number
}

type Explanation = ReturnType<Awaited<ReturnType<typeof openCatalogue>>['explainCall']>

/** Calls that are explained at most: an id that many calls share is no id. */
const CALLS_MAX = 20
const FAILED = 1

/**
 * Why a call of a capture was given to an API, or was not. Reads the whole capture, so that a call
 * finds its answer, and what came into the gateway before it. 1 where the capture has no such call.
 *
 * @throws {UsageError} unless exactly one of the ways to name a call is used.
 */
export async function explainCall(
  io: Io,
  capture: string,
  flags: ExplainCallFlags,
): Promise<number> {
  const { id, requestId, line } = flags
  if ([id, requestId, line].filter((way) => way !== undefined).length !== 1) {
    throw new UsageError(
      'Cannot tell which call is meant: use one of --id, --request-id and --line',
    )
  }
  if (capture === '-' && line !== undefined) {
    throw new UsageError('Cannot count lines of standard input: --line needs a file')
  }
  const read = configWithManifests(io, flags)
  const config = { ...read, log: { level: flags.logLevel ?? 'warn' } }
  const { manifests, apkIntelligentRouting } = config.identity
  const opened = await openCatalogue(manifests, { apkIntelligentRouting })
  const wanted =
    line === undefined ? undefined : new CaptureLineMatch(await lineOfCapture(capture, line))
  const found: { readonly call: ApiCall | null; readonly explanation: Explanation }[] = []
  const isMeant = (call: ApiCall): boolean => {
    if (wanted !== undefined) return wanted.isCall(call)
    return requestId === undefined ? call.exchange.id === id : call.exchange.requestId === requestId
  }
  const app = createApp(config, {
    ...appIo(io),
    captures: [capture],
    headless: true,
    onFlow: (flow: FlowView) => {
      if (wanted?.isFlow(flow) !== true || flow.kind === FlowKind.http) return
      found.push({ call: null, explanation: opened.explainFlow(flow) })
    },
    onCall: (call) => {
      if (found.length >= CALLS_MAX || !isMeant(call)) return
      found.push({ call, explanation: opened.explainCall(call) })
    },
  })
  await app.run(io.stop)
  for (const { call, explanation } of found) {
    if (flags.json === true)
      print(io.stdout, JSON.stringify({ id: call?.exchange.id ?? null, ...explanation }))
    else print(io.stdout, textOf(explanation, call))
  }
  if (found.length > 0) return 0
  print(io.stderr, `Cannot explain: ${capture} has no such call`)
  return FAILED
}

function textOf({ sentences, cures }: Explanation, call: ApiCall | null): string {
  const head = call === null ? 'A flow without HTTP' : `Call ${call.exchange.id}`
  const lines = [head, ...sentences.map((sentence) => `  ${sentence}`)]
  if (cures.length > 0)
    lines.push('What would make it sure:', ...cures.map((cure) => `  - ${cure}`))
  return lines.join('\n')
}
