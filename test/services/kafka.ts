import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { serviceFolder } from './catalogue.ts'
import { type Child, removeAtExit, runTool, spawnChild, untilReady } from './child.ts'
import { freePort } from './free-port.ts'
import { bring } from './recipes.ts'

const READY_MS = 60_000

/** A Kafka broker; port and data stay the same until `stop`. */
export interface Kafka {
  /** host:port */
  readonly brokers: string
  /** Ends it for good and removes its data. */
  stop(): Promise<void>
  /** An orderly end, then a start. */
  restart(): Promise<void>
  /** SIGKILL: the broker is gone until `start`. */
  kill(): Promise<void>
  start(): Promise<void>
}

/** One KRaft node on loopback, with nothing in it. Takes about 5 s, and 5 s more the first time. */
export async function startKafka(): Promise<Kafka> {
  await bring('kafka')
  const folder = await mkdtemp(join(tmpdir(), 'weir-kafka-'))
  removeAtExit(folder)
  const [port, controllerPort] = [await freePort(), await freePort()]
  const properties = join(folder, 'server.properties')
  await writeFile(properties, serverProperties(port, controllerPort, join(folder, 'log')))
  // A leading zero byte: an id that begins with a dash reads as a flag.
  const clusterId = Buffer.concat([Buffer.alloc(1), randomBytes(15)]).toString('base64url')
  const format = ['kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', properties]
  await runTool({ command: 'java', args: javaArgs(...format) })

  let child: Child | undefined
  const start = async (): Promise<void> => {
    child = spawnChild({ command: 'java', args: javaArgs('kafka.Kafka', properties) })
    let started = false
    child.onLine((line) => {
      started ||= line.includes('Kafka Server started')
    })
    await untilReady('kafka', child, () => started, READY_MS)
  }
  await start()
  return {
    brokers: `127.0.0.1:${port}`,
    start,
    kill: async () => child?.kill(),
    async restart() {
      await child?.stop(READY_MS)
      await start()
    },
    async stop() {
      await child?.kill() // Its data goes too: there is nothing to end in order.
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function javaArgs(...command: readonly string[]): string[] {
  const quickStart = ['-Xmx512m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC']
  return [...quickStart, '-cp', join(serviceFolder('kafka'), 'lib', '*'), ...command]
}

function serverProperties(port: number, controllerPort: number, logFolder: string): string {
  return [
    'process.roles=broker,controller',
    'node.id=1',
    `controller.quorum.voters=1@127.0.0.1:${controllerPort}`,
    `listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    `advertised.listeners=PLAINTEXT://127.0.0.1:${port}`,
    'controller.listener.names=CONTROLLER',
    'listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
    `log.dirs=${logFolder}`,
    'offsets.topic.replication.factor=1',
    'share.coordinator.state.topic.replication.factor=1',
    'transaction.state.log.replication.factor=1',
    'transaction.state.log.min.isr=1',
    'group.initial.rebalance.delay.ms=0',
    // After a crash the broker waits until its former self has timed out: 9 s by default.
    'broker.session.timeout.ms=3000',
    'broker.heartbeat.interval.ms=500',
    '',
  ].join('\n')
}
