import { isBrought, SERVICE_NAMES, serviceOf } from './catalogue.ts'
import { bring } from './recipes.ts'

const HEARTBEAT_MS = 10_000

/** Brings one service and tells how it goes. Returns what went wrong, if anything did. */
async function install(name: string): Promise<string | undefined> {
  const { version, what } = serviceOf(name)
  if (isBrought(name)) {
    process.stdout.write(`${name} ${version}: there\n`)
    return undefined
  }
  const startMs = Date.now()
  let step = ''
  const say = (text: string): void => {
    const seconds = Math.round((Date.now() - startMs) / 1_000)
    process.stdout.write(`${name} ${version}: ${seconds} s, ${text}\n`)
  }
  process.stdout.write(`${name} ${version}: ${what}\n`)
  const heartbeat = setInterval(() => say(step), HEARTBEAT_MS)
  try {
    await bring(name, (now) => {
      // Counts change all the time: the heartbeat shows them.
      if (now.split(',')[0] !== step.split(',')[0]) say(now)
      step = now
    })
    say('done')
    return undefined
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    say(`failed\n${message}`)
    return name
  } finally {
    clearInterval(heartbeat)
  }
}

const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !SERVICE_NAMES.includes(name))
if (unknown.length > 0) {
  process.stderr.write(`Unknown: ${unknown.join(', ')}. Known: ${SERVICE_NAMES.join(', ')}\n`)
  process.exit(2)
}
const failed: string[] = []
for (const name of wanted.length > 0 ? wanted : SERVICE_NAMES) {
  const failure = await install(name)
  if (failure !== undefined) failed.push(failure)
}
if (failed.length > 0) {
  process.stderr.write(`Cannot bring: ${failed.join(', ')}\n`)
  process.exitCode = 1
}
