// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

// Certificates returns what the crt-list of ours holds now, sorted by Name:
// which names each certificate serves, and the fingerprint of what HAProxy has
// under its Name (management.txt "show ssl crt-list", "show ssl cert"). With
// names, only of these: the others have no Fingerprint then. The default one is
// among them, whatever it serves beside. It is empty where no configuration that
// HAProxy loaded uses that list. Of one that stands in several lines, Serves has
// the names of all of them, one after the other.
func (x exchanger) Certificates(ctx context.Context, names ...string) ([]haproxy.Certificate, error) {
	lines, err := x.crtList(ctx)
	if err != nil {
		return nil, fmt.Errorf("observe HAProxy: %w", err)
	}
	byName := map[string]*haproxy.Certificate{}
	for _, l := range lines {
		name := x.certificateName(l.path)
		if byName[name] == nil {
			byName[name] = &haproxy.Certificate{Name: name}
		}
		if !l.fallback {
			byName[name].Serves = append(byName[name].Serves, l.names...)
		}
	}
	var all []haproxy.Certificate
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		all = append(all, *byName[name])
	}
	asked := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return byName[name] == nil })
	if len(names) == 0 {
		for _, one := range all {
			asked = append(asked, one.Name)
		}
	}
	fingerprints, err := x.Fingerprints(ctx, asked)
	if err != nil {
		return nil, err
	}
	for i, name := range asked {
		at, _ := slices.BinarySearchFunc(all, name, func(o haproxy.Certificate, name string) int { return cmp.Compare(o.Name, name) })
		all[at].Fingerprint = fingerprints[i]
	}
	return all, nil
}

// Fingerprints returns the SHA-1, in capital hexadecimal, of what HAProxy has
// under each of these Names; "" where it has nothing.
func (x exchanger) Fingerprints(ctx context.Context, names []string) ([]string, error) {
	commands := make([]string, len(names))
	for i, name := range names {
		path, err := x.certificatePath(name)
		if err != nil {
			return nil, err
		}
		commands[i] = "show ssl cert " + path
	}
	replies, err := x.exchangeAll(ctx, commands)
	if err != nil {
		return nil, fmt.Errorf("observe HAProxy: %w", err)
	}
	fingerprints := make([]string, len(names))
	for i, reply := range replies {
		for line := range strings.Lines(reply) {
			if sum, ok := strings.CutPrefix(strings.TrimSpace(line), "SHA1 FingerPrint: "); ok {
				fingerprints[i] = sum
			}
		}
	}
	return fingerprints, nil
}

// crtLine is one line of the crt-list as HAProxy has it.
type crtLine struct {
	path     string
	number   int
	names    []string
	fallback bool // it makes the default certificate, which only a reload changes
}

// crtList returns the lines of the crt-list of ours.
func (x exchanger) crtList(ctx context.Context) ([]crtLine, error) {
	list, err := x.crtListPath()
	if err != nil {
		return nil, err
	}
	replies, err := x.exchange(ctx, "show ssl crt-list -n "+list)
	if err != nil {
		return nil, err
	}
	var lines []crtLine
	for line := range strings.Lines(replies[0]) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		colon := strings.LastIndexByte(words[0], ':')
		number, err := strconv.Atoi(words[0][colon+1:])
		if colon < 0 || err != nil { // "didn't find the specified filename"
			continue
		}
		names := words[1:]
		lines = append(lines, crtLine{words[0][:colon], number, names, slices.Contains(names, cfgfile.DefaultMark)})
	}
	return lines, nil
}

func (x exchanger) crtListPath() (string, error) {
	path := filepath.Join(x.folder, cfgfile.CrtListFile)
	return path, checkWord("crt-list", path)
}

func (x exchanger) certificatePath(name string) (string, error) {
	path := cfgfile.CertificatePath(x.folder, name)
	return path, checkWord("certificate", path)
}

func (x exchanger) certificateName(path string) string {
	if name, ok := strings.CutPrefix(path, cfgfile.CertificatePath(x.folder, "")+"/"); ok {
		return name
	}
	return path
}

// changeCertificates makes the changes in their order. What HAProxy rejects is
// told in a and stops no other.
func (x exchanger) changeCertificates(ctx context.Context, changes []haproxy.CertificateChange, a *Applied) error {
	if len(changes) == 0 {
		return nil
	}
	lines, err := x.crtList(ctx)
	if err != nil {
		return err
	}
	for _, change := range changes {
		do := x.serve
		switch change.Op {
		case haproxy.AddCertificate:
			do = x.addCertificate
		case haproxy.RenewCertificate:
			do = x.renew
		case haproxy.DeleteCertificate:
			do = x.deleteCertificate
		}
		path, err := x.certificatePath(change.Certificate.Name)
		if err != nil {
			return err
		}
		rejection, err := do(ctx, change.Certificate, path, linesOf(lines, path), a)
		if err != nil {
			return err
		}
		if rejection != "" {
			a.Rejected = append(a.Rejected, Rejection{Certificate: change, Reply: rejection})
		}
	}
	return nil
}

// linesOf are the lines of one certificate that can be changed.
func linesOf(lines []crtLine, path string) []crtLine {
	return slices.DeleteFunc(slices.Clone(lines), func(l crtLine) bool { return l.path != path || l.fallback })
}

// addCertificate makes HAProxy know a certificate and serve its names.
func (x exchanger) addCertificate(ctx context.Context, cert haproxy.Certificate, path string, lines []crtLine, a *Applied) (rejection string, err error) {
	// It may be there already: of a podgate that was cut short.
	if _, err := x.command(ctx, a, "new ssl cert "+path); err != nil {
		return "", err
	}
	if rejection, err := x.renew(ctx, cert, path, lines, a); rejection != "" || err != nil {
		return rejection, err
	}
	return x.serve(ctx, cert, path, lines, a)
}

const success = "Success!"

// renew replaces the content of a certificate, at once for every name that it
// serves (management.txt "set ssl cert", "commit ssl cert").
func (x exchanger) renew(ctx context.Context, cert haproxy.Certificate, path string, _ []crtLine, a *Applied) (rejection string, err error) {
	for range 2 {
		a.Commands++
		reply, err := x.exchangePayload(ctx, "set ssl cert "+path, string(cert.PEM))
		if err != nil {
			return "", err
		}
		if strings.Contains(reply, "Transaction created") || strings.Contains(reply, "Transaction updated") {
			reply, err = x.command(ctx, a, "commit ssl cert "+path)
			if err != nil || strings.Contains(reply, success) {
				return "", err
			}
		}
		rejection = brief(reply)
		// Somebody may have left a transaction open, and HAProxy has room for one.
		other := cmp.Or(ongoing(reply), path)
		if err := checkWord("certificate", other); err != nil {
			return rejection, nil
		}
		if _, err := x.command(ctx, a, "abort ssl cert "+other); err != nil || other == path {
			return rejection, err
		}
	}
	return rejection, nil
}

// ongoing finds the certificate whose transaction is in the way of another.
func ongoing(reply string) string {
	_, rest, ok := strings.Cut(reply, "ongoing transaction is about '")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "'")
	return name
}

// serve has a certificate serve its names: a new line first, and when that is
// there the ones before go. One that serves none has no line.
func (x exchanger) serve(ctx context.Context, cert haproxy.Certificate, path string, lines []crtLine, a *Applied) (rejection string, err error) {
	list, err := x.crtListPath()
	if err != nil {
		return "", err
	}
	if len(cert.Serves) > 0 {
		line, err := cfgfile.CrtListLine(cert, x.folder)
		if err != nil {
			return err.Error(), nil
		}
		a.Commands++
		reply, err := x.exchangePayload(ctx, "add ssl crt-list "+list, line+"\n")
		if err != nil || !strings.Contains(reply, success) {
			return brief(reply), err
		}
	}
	return x.deleteLines(ctx, lines, a)
}

func (x exchanger) deleteLines(ctx context.Context, lines []crtLine, a *Applied) (rejection string, err error) {
	list, err := x.crtListPath()
	if err != nil {
		return "", err
	}
	for _, l := range lines {
		if err := checkWord("certificate", l.path); err != nil {
			return err.Error(), nil
		}
		reply, err := x.command(ctx, a, fmt.Sprintf("del ssl crt-list %s %s:%d", list, l.path, l.number))
		if err != nil {
			return "", err
		}
		if !strings.Contains(reply, "deleted in crtlist") {
			rejection = brief(reply)
		}
	}
	return rejection, nil
}

// deleteCertificate takes a certificate out of the crt-list and out of memory.
// One that others use too stays there.
func (x exchanger) deleteCertificate(ctx context.Context, _ haproxy.Certificate, path string, lines []crtLine, a *Applied) (rejection string, err error) {
	if rejection, err := x.deleteLines(ctx, lines, a); rejection != "" || err != nil {
		return rejection, err
	}
	_, err = x.command(ctx, a, "del ssl cert "+path)
	return "", err
}

// TicketKey makes HAProxy issue session tickets with another key from now on;
// those of the two before it are still good (management.txt "set ssl tls-key").
// The key is base64 of 80 random bytes.
func (x exchanger) TicketKey(ctx context.Context, key string) error {
	path := filepath.Join(x.folder, cfgfile.TicketKeysFile)
	if err := checkLine("ticket keys", path+" "+key); err != nil {
		return fmt.Errorf("set ticket key: %w", bugError("the key contains a character that a command cannot")) // without the key
	}
	replies, err := x.exchange(ctx, "set ssl tls-key "+path+" "+key)
	if err != nil {
		return fmt.Errorf("set ticket key: %w", err)
	}
	if !strings.Contains(replies[0], "updated") {
		return fmt.Errorf("set ticket key: set ssl tls-key: got %q, want that the key is updated", brief(replies[0]))
	}
	return nil
}

// brief is a reply on one line.
func brief(reply string) string {
	const most = 300
	text := strings.Join(strings.Fields(reply), " ")
	return text[:min(len(text), most)]
}
