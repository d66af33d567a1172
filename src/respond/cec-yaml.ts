import { stringify } from 'yaml'

/** A CEC as a YAML document; keys in the order of the plan. */
export function cecYaml(cec: unknown): string {
  return stringify(cec, { lineWidth: 0, aliasDuplicateObjects: false })
}
