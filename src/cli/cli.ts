import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { LOG_LEVELS } from '../config/schema.ts'
import { msOfMoment, msOfTimer } from '../config/values.ts'
import { AppError, describeError } from '../errors.ts'
import { check } from './check.ts'
import { demo } from './demo.ts'
import { explainCall } from './explain.ts'
import { type Io, print } from './io.ts'
import { render } from './render.ts'
import { replay } from './replay.ts'
import { resolve } from './resolve.ts'
import { run } from './run.ts'
import { version } from './version.ts'

/** 0 done, 1 failed, 2 wrong usage, 78 wrong configuration; 70 and 130 are the process's own. */
const FAILED = 1
const USAGE = 2
const CONFIGURATION = 78

const COLLECT = (value: string, all: string[] = []) => [...all, value]

/** Reads the command line, runs one verb, and returns the exit code. Rejects only for defects. */
export async function runCli(io: Io): Promise<number> {
  let code = 0
  const done = (result: number) => {
    code = result
  }
  const program = createProgram(io, done)
  try {
    await program.parseAsync([...io.argv], { from: 'user' })
    return code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE
    if (!(error instanceof AppError)) throw error
    print(io.stderr, describeError(error))
    if (error.code === 'CONFIG') return CONFIGURATION
    return error.code === 'USAGE' ? USAGE : FAILED
  }
}

function createProgram(io: Io, done: (code: number) => void): Command {
  const program = new Command('weir')
    .description(
      'Reads Hubble flows, names the API behind each of them, measures, tells, and limits abuse.',
    )
    .version(version(), '-V, --version')
    .option('--config <file>', 'configuration (default: weir.yaml where it exists)')
    .addOption(
      new Option('--log-level <level>', 'how much to log, to standard error').choices(LOG_LEVELS),
    )
    .option(
      '--json',
      'one JSON document, or one JSON line a record; nothing else on standard output',
    )
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(see --help)')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
    })

  verb(program, 'run', 'the service: streams flows until it is stopped')
    .option('--relay <host:port>', 'a Hubble Relay')
    .option('--file <file>', 'a capture, or - for standard input; at its end: flush, exit 0')
    .option('--since <time>', 'where to begin: RFC 3339, or how long ago (5m)', momentFlag)
    .option('--until <time>', 'a bounded read: ends there, like a file', momentFlag)
    .option('--manifests <dir>', 'Kubernetes manifests (repeatable)', COLLECT)
    .option('--kafka <brokers>', 'publish events to Kafka, HOST:PORT[,HOST:PORT…]')
    .option('--otlp <url>', 'export traces over OTLP/HTTP')
    .option('--listen <host:port>', 'where metrics, probes and the API are served')
    .addOption(
      new Option('--mode <mode>', 'what a finding may cause').choices([
        'observe',
        'shadow',
        'enforce',
      ]),
    )
    .addHelpText('after', EXAMPLES.run)
    .action(async (_, verb) => done(await run(io, verb.optsWithGlobals())))

  verb(program, 'demo', 'a simulated cluster and Weir, in one process, on free ports')
    .option(
      '--for <duration>',
      'ends by itself: 0, or 1 where a limit was not proven',
      durationFlag,
    )
    .addHelpText('after', EXAMPLES.demo)
    .action(async (_, verb) => done(await demo(io, verb.optsWithGlobals())))

  verb(program, 'check', 'configuration, rules and manifests: every problem at once')
    .option('--manifests <dir>', 'Kubernetes manifests (repeatable)', COLLECT)
    .addHelpText('after', EXAMPLES.check)
    .action(async (_, verb) => done(await check(io, verb.optsWithGlobals())))

  verb(program, 'replay', 'captures through the whole pipeline; prints one summary')
    .argument(
      '<file...>',
      'NDJSON of `hubble observe -o json`, gzipped or not; - is standard input',
    )
    .option('--manifests <dir>', 'Kubernetes manifests (repeatable)', COLLECT)
    .addHelpText('after', EXAMPLES.replay)
    .action(async (files, _, verb) => done(await replay(io, files, verb.optsWithGlobals())))

  verb(program, 'resolve', 'requests on standard input, the API behind each on standard output')
    .option('--manifests <dir>', 'Kubernetes manifests (repeatable)', COLLECT)
    .addHelpText('after', EXAMPLES.resolve)
    .action(async (_, verb) => done(await resolve(io, verb.optsWithGlobals())))

  verb(program, 'render', 'the CiliumEnvoyConfig that a finding would cause')
    .argument('[finding]', 'FINDING.json; - or nothing: standard input')
    .option('--manifests <dir>', 'Kubernetes manifests (repeatable)', COLLECT)
    .addOption(
      new Option('--mode <mode>', 'how the limit stands')
        .choices(['shadow', 'enforce'])
        .default('enforce'),
    )
    .addHelpText('after', EXAMPLES.render)
    .action(async (finding, _, verb) => done(await render(io, finding, verb.optsWithGlobals())))

  const explain = verb(program, 'explain', 'why something was done, in sentences').addHelpText(
    'after',
    EXAMPLES.explain,
  )
  verb(explain, 'call', 'why a call was given to an API, or was not')
    .argument('<capture>', 'NDJSON of `hubble observe -o json`, gzipped or not')
    .option('--manifests <dir>', 'Kubernetes manifests (repeatable)', COLLECT)
    .option('--id <call>', 'the call, by its id in events')
    .option('--request-id <id>', 'all calls with this x-request-id')
    .option('--line <number>', 'the call, or the flow, of this line (from 1)', lineFlag)
    .addHelpText('after', EXAMPLES.explain)
    .action(async (capture, _, verb) =>
      done(await explainCall(io, capture, verb.optsWithGlobals())),
    )

  return program
}

function verb(program: Command, name: string, description: string): Command {
  return program.command(name).description(description).exitOverride()
}

function momentFlag(text: string): number {
  const ms = msOfMoment(text, Date.now())
  if (Number.isNaN(ms)) throw new InvalidArgumentError('must be RFC 3339, or how long ago (5m)')
  return ms
}

function lineFlag(text: string): number {
  const line = Number(text)
  if (!Number.isInteger(line) || line < 1) throw new InvalidArgumentError('must be 1 or more')
  return line
}

function durationFlag(text: string): number {
  const ms = msOfTimer(text)
  if (ms === undefined) throw new InvalidArgumentError('must be a duration such as 60s')
  return ms
}

const EXAMPLES = {
  run: `
Examples:
  weir run --relay hubble-relay.kube-system:80 --manifests ./manifests
  weir run --file capture.jsonl.gz --listen 127.0.0.1:0
  hubble observe -f -o json | weir run --file -`,
  demo: `
Examples:
  weir demo
  weir demo --for 60s --json`,
  check: `
Examples:
  weir check --config weir.yaml
  weir check --manifests ./manifests --json`,
  replay: `
Examples:
  weir replay capture.jsonl.gz --manifests ./manifests
  weir replay node-1.jsonl node-2.jsonl --json`,
  resolve: `
Examples:
  echo '{"leg":"gateway","method":"GET","host":"api.example.com","path":"/orders/1.0/7"}' |
    weir resolve --manifests ./manifests
  weir resolve --manifests ./manifests --json < requests.jsonl`,
  render: `
Examples:
  weir render --manifests ./manifests finding.json
  weir render --manifests ./manifests --mode shadow < finding.json`,
  explain: `
Examples:
  weir explain call capture.jsonl.gz --manifests ./manifests --line 42
  weir explain call capture.jsonl --manifests ./manifests --request-id 3f0c… --json`,
} as const
