// SPDX-License-Identifier: Apache-2.0

package config

// Compatibility is which other controllers podgate behaves like.
type Compatibility struct {
	ServiceLoadbalancer bool // that of kubernetes/contrib, see migrating.md
}

func (c *Compatibility) keys() []key {
	return []key{
		{"compatibility", "service_loadbalancer", boolean(&c.ServiceLoadbalancer), immediately,
			"Whether annotations have the same effect as in service-loadbalancer of kubernetes/contrib where podgate differs from it; migrating.md lists the differences. It also changes the default of kubernetes.namespaces to all namespaces."},
	}
}

// apply sets the keys whose default depends on c.
func (c Compatibility) apply(to *Config) {
	if c.ServiceLoadbalancer {
		to.Compatibility = c
		to.Kubernetes.Namespaces = []string{allNamespaces}
	}
}

// compatibility returns the section of the file. An invalid value is rejected later, with
// its section.
func (d *document) compatibility() Compatibility {
	section, _ := d.tree["compatibility"].(map[string]any)
	on, _ := section["service_loadbalancer"].(bool)
	return Compatibility{ServiceLoadbalancer: on}
}
