// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/coreos/go-systemd/v22/unit"
)

// TestUnitUsesCommandsOfPodgate compares the unit with podgate's commands, exit codes and
// default paths.
func TestUnitUsesCommandsOfPodgate(t *testing.T) {
	file, err := os.Open("../../systemd/podgate.service")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	options, err := unit.DeserializeOptions(file)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string][]string{}
	for _, o := range options {
		values[o.Name] = append(values[o.Name], o.Value)
	}
	for name, want := range map[string]string{
		"ConditionFileNotEmpty":    defaultConfig,
		"RestartPreventExitStatus": strconv.Itoa(exitConfig),
		"Type":                     "notify",
		"User":                     "podgate",
		"Group":                    "haproxy",
	} {
		if got := strings.Join(values[name], " "); got != want {
			t.Errorf("%s=%s, want %s", name, got, want)
		}
	}
	for _, command := range append(values["ExecStart"], values["ExecReload"]...) {
		words := strings.Fields(command)
		if words[0] != "/usr/sbin/podgate" {
			continue
		}
		if found, _, err := newRoot().Find(words[1:]); err != nil || found.Name() != words[1] {
			t.Errorf("%s: there is no such command", command)
		}
	}
}
