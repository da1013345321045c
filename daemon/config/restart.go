// SPDX-License-Identifier: Apache-2.0

package config

// RestartNeeded returns the keys, as "section.name", in which c differs from
// old and whose change takes hold only when the daemon starts again. It is empty
// where all that changed takes hold at once.
func (c *Config) RestartNeeded(old *Config) []string {
	var names []string
	was := old.keys()
	for i, k := range c.keys() {
		if k.effect == afterRestart && k.field.print() != was[i].field.print() {
			names = append(names, k.section+"."+k.name)
		}
	}
	return names
}
