import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import services from '../services.json' with { type: 'json' }
import { cacheRoot } from './cache.ts'

/** A real service that tests run against. */
export interface Service {
  /** Quick: brought in seconds, when a test first asks. Otherwise `npm run services` compiles it. */
  readonly quick: boolean
  readonly version: string
  readonly what: string
  /** Commands that must be on the PATH to bring the service and to run it. */
  readonly needs: readonly string[]
  /** Files that stand in the service's folder once it is brought. */
  readonly binaries: readonly string[]
}

const SERVICES: Readonly<Record<string, Service>> = services

export const SERVICE_NAMES: readonly string[] = Object.keys(SERVICES)

/** @throws {Error} for a name that services.json does not have. */
export function serviceOf(name: string): Service {
  const service = SERVICES[name]
  if (service === undefined) throw new Error(`Cannot find service "${name}" in services.json`)
  return service
}

/** Folder of the Go module that a compiled service is built from; it need not exist. */
export function moduleFolder(name: string): string {
  return join(import.meta.dirname, 'go', name)
}

/**
 * Where the service stands in the cache, or will. The folder is of its version and, for what we
 * compile, of our sources, so an edit to them asks for a new build.
 */
export function serviceFolder(name: string): string {
  const { version } = serviceOf(name)
  const sources = moduleFolder(name)
  const suffix = existsSync(sources) ? `-${hashOfFolder(sources)}` : ''
  return join(cacheRoot(), name, `${version}${suffix}`)
}

/** Path of one of the service's binaries. @throws {Error} if it was not brought. */
export function binaryOf(name: string, binary: string): string {
  const path = join(serviceFolder(name), binary)
  if (!existsSync(path)) throw new Error(`Cannot run ${binary}: service "${name}" is not brought`)
  return path
}

export function isBrought(name: string): boolean {
  const folder = serviceFolder(name)
  return serviceOf(name).binaries.every((binary) => existsSync(join(folder, binary)))
}

/** The commands among the service's needs that the PATH does not have. */
export function missingTools(name: string): string[] {
  return serviceOf(name).needs.filter((tool) => pathOf(tool) === undefined)
}

/** First executable file of that name on the PATH. */
export function pathOf(tool: string): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '')
  return folders.map((folder) => join(folder, tool)).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Of its Go sources: eight hex digits. */
export function hashOfFolder(folder: string): string {
  const hash = createHash('sha256')
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  for (const file of files.filter((name) => /\.(?:go|mod|sum)$/.test(name)).sort()) {
    hash
      .update(file)
      .update('\0')
      .update(readFileSync(join(folder, file)))
      .update('\0')
  }
  return hash.digest('hex').slice(0, 8)
}
