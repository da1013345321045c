// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strings"
)

// String is the whole configuration as podgate.toml: every key, in a comment if it
// has its default, and which values a profile or service_loadbalancer sets. It omits the value of
// cookie_key, with which one can compute which server a cookie names.
func (c *Config) String() string {
	plain, profiled := Default(), Default()
	c.Cloud.Profile.apply(profiled)
	c.Compatibility.apply(profiled)
	defaults, byProfile := plain.keys(), profiled.keys()
	var b strings.Builder
	section := ""
	for i, k := range c.keys() {
		if k.section != section {
			if section != "" {
				b.WriteByte('\n')
			}
			section = k.section
			fmt.Fprintf(&b, "[%s]\n", section)
		}
		value := k.field.print()
		switch {
		case value == defaults[i].field.print() && value == byProfile[i].field.print():
			fmt.Fprintf(&b, "#%s = %s\n", k.name, value)
		case k.name == "cookie_key":
			b.WriteString("# cookie_key is set\n")
		case k.name == "namespaces" && value == byProfile[i].field.print():
			fmt.Fprintf(&b, "%s = %s # service_loadbalancer\n", k.name, value)
		case k.name != "profile" && k.name != "service_loadbalancer" && value == byProfile[i].field.print():
			fmt.Fprintf(&b, "%s = %s # profile %s\n", k.name, value, c.Cloud.Profile)
		default:
			fmt.Fprintf(&b, "%s = %s\n", k.name, value)
		}
	}
	for i := range c.Grants {
		fmt.Fprintf(&b, "\n[[%s]]\n", grantSection)
		for _, k := range grantKeys(&c.Grants[i]) {
			fmt.Fprintf(&b, "%s = %s\n", k.name, k.field.print())
		}
	}
	return b.String()
}

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
