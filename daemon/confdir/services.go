// SPDX-License-Identifier: Apache-2.0

package confdir

import (
	"encoding/json"
	"fmt"
	"os"
)

// servicesFile has the Services of the cluster as podgate read them last. If some of them
// cannot be read when podgate starts, HAProxy continues to serve them.
const servicesFile = "podgate.services.json"

// WriteServices replaces servicesFile by a value in JSON.
func (d Dir) WriteServices(services any) error { return d.replaceJSON(servicesFile, services) }

// ReadServices decodes servicesFile into a pointer. The error is fs.ErrNotExist if there
// is no such file.
func (d Dir) ReadServices(services any) error {
	text, err := os.ReadFile(d.Path(servicesFile))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, services); err != nil {
		return fmt.Errorf("read %s: %w", d.Path(servicesFile), err)
	}
	return nil
}
