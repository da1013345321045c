// SPDX-License-Identifier: Apache-2.0

package config

// RestartNeeded returns the keys, as "section.name", that differ from old and take
// effect only after a restart. It is empty if all changes take effect immediately.
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
