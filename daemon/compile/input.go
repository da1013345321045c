// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"net/netip"

	"podgate/daemon/config"
)

// TLSFiles names the files of podgate's folder that hold what [https] of
// podgate.toml names. A file that could not be read has no name here. The
// zero value has none at all.
type TLSFiles struct {
	Default    string            // Name of the default certificate
	ClientCA   string            // absolute path of the authorities of clients
	BackendCAs map[string]string // absolute path of each bundle of backend_ca_folder, by its name
}

// input is the part of Compile's input that all Services share: the configuration
// and the files that it names.
type input struct {
	*config.Config
	files      TLSFiles
	addresses  []netip.Addr // of this machine
	apiServers []netip.Addr
	listeners  []listener
	given      *Machine // compared by identity
}

// newInput returns before if it has the same configuration and Machine.
func newInput(cfg *config.Config, m *Machine, before *input) *input {
	if before != nil && before.Config == cfg && before.given == m {
		return before
	}
	in := &input{Config: cfg, given: m, listeners: listeners(cfg, m)}
	if m != nil {
		in.addresses, in.apiServers = m.Addresses, m.APIServers
		if m.Files != nil {
			in.files = *m.Files
		}
	}
	return in
}

// SameInput reports whether both Results have the same configuration and files.
// Prev may be nil.
func (r *Result) SameInput(prev *Result) bool {
	return prev != nil && (r.input == prev.input || r.input.Config == prev.input.Config && r.input.tlsFiles() == prev.input.tlsFiles())
}

func (in *input) tlsFiles() *TLSFiles {
	if in.given == nil {
		return nil
	}
	return in.given.Files
}
