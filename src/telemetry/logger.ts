import pino, { type DestinationStream, type Logger } from 'pino'

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'silent'

/** DEL and C1, which terminals obey and JSON leaves as they are; C0 is escaped by JSON itself. */
const CONTROL = /[\u007f-\u009f]/g

/** JSON lines on `destination` (standard error: standard output belongs to the verbs). */
export function createLogger(level: LogLevel, destination: DestinationStream): Logger {
  const safe = { write: (line: string) => destination.write(line.replace(CONTROL, escape)) }
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, safe)
}

function escape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}
