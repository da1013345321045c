// SPDX-License-Identifier: Apache-2.0

package setup

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/unit"
	"github.com/kballard/go-shellquote"
)

const unitName = "haproxy.service"

// unitFolders returns the folders with units of systemd; a unit or drop-in hides those
// of the same name in later folders (systemd.unit(5)).
func unitFolders() []string {
	return []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}
}

// service is how systemd starts HAProxy without podgate's drop-in.
type service struct {
	exec      []string            // the words of ExecStart, with variables not replaced
	variables map[string]variable // of its environment, by name
}

// variable is an environment variable, and the file that sets it last.
type variable struct {
	value     string
	file      string // "PATH" or "PATH:LINE"
	overrides bool   // an EnvironmentFile sets it, which overrides every drop-in
}

// readService reads the unit and all its drop-ins except podgate's. It returns an
// error if there is no unit.
func (h *Host) readService() (service, error) {
	s := service{variables: map[string]variable{}}
	files, err := h.unitFiles()
	if err != nil {
		return s, err
	}
	var environmentFiles []string
	for _, file := range files {
		options, err := h.readUnit(file)
		if err != nil {
			return s, err
		}
		for _, o := range options {
			if o.Section != "Service" {
				continue
			}
			switch o.Name {
			case "ExecStart":
				s.exec = strings.Fields(o.Value)
			case "EnvironmentFile":
				if o.Value == "" {
					environmentFiles = nil
				} else {
					environmentFiles = append(environmentFiles, strings.TrimPrefix(o.Value, "-"))
				}
			case "Environment":
				if err := s.setEnvironment(file, o.Value); err != nil {
					return s, err
				}
			}
		}
	}
	for _, file := range environmentFiles {
		if err := h.readEnvironment(file, s.variables); err != nil {
			return s, err
		}
	}
	return s, nil
}

// unitFiles returns the paths of the unit and its drop-ins, except podgate's, in the
// order in which systemd applies them.
func (h *Host) unitFiles() ([]string, error) {
	var main string
	dropins := map[string]string{} // by name
	for _, folder := range slices.Backward(unitFolders()) {
		path := filepath.Join(folder, unitName)
		if _, err := os.Stat(h.path(path)); err == nil {
			main = path
		}
		entries, err := os.ReadDir(h.path(path + ".d"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read drop-ins of %s: %w", unitName, err)
		}
		for _, e := range entries {
			if file := filepath.Join(path+".d", e.Name()); strings.HasSuffix(file, ".conf") && file != dropinFile {
				dropins[e.Name()] = file
			}
		}
	}
	if main == "" {
		return nil, fmt.Errorf("there is no %s (is the package haproxy installed?)", unitName)
	}
	files := []string{main}
	for _, name := range slices.Sorted(maps.Keys(dropins)) {
		files = append(files, dropins[name])
	}
	return files, nil
}

func (h *Host) readUnit(path string) ([]*unit.UnitOption, error) {
	file, err := os.Open(h.path(path))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	options, err := unit.DeserializeOptions(file)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return options, nil
}

// setEnvironment applies one Environment= line.
func (s *service) setEnvironment(file, value string) error {
	if value == "" {
		clear(s.variables)
		return nil
	}
	assignments, err := shellquote.Split(value)
	if err != nil {
		return fmt.Errorf("read %s: Environment=%s: %w", file, value, err)
	}
	for _, a := range assignments {
		if name, v, ok := strings.Cut(a, "="); ok {
			s.variables[name] = variable{value: v, file: file}
		}
	}
	return nil
}

// readEnvironment reads an EnvironmentFile (systemd.exec(5)). A missing file sets
// nothing.
func (h *Host) readEnvironment(path string, variables map[string]variable) error {
	text, err := os.ReadFile(h.path(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimSpace(line)
		name, value, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		if words, err := shellquote.Split(value); err == nil {
			value = strings.Join(words, " ")
		}
		variables[strings.TrimSpace(name)] = variable{value, fmt.Sprintf("%s:%d", path, number), true}
	}
	return nil
}

// files returns the configuration files that the service has HAProxy load, except
// podgate's folder.
func (s service) files(folder string) []string {
	var words []string
	for _, word := range s.exec {
		if name, ok := strings.CutPrefix(word, "$"); ok {
			name = strings.Trim(name, "{}")
			words = append(words, strings.Fields(s.variables[name].value)...)
		} else {
			words = append(words, word)
		}
	}
	return slices.DeleteFunc(flagValues("-f", words), func(file string) bool { return filepath.Clean(file) == folder })
}

// flagValues returns the values of a flag on a command line.
func flagValues(flag string, words []string) []string {
	var values []string
	for i, word := range words {
		if word == flag && i+1 < len(words) {
			values = append(values, words[i+1])
		}
	}
	return values
}
