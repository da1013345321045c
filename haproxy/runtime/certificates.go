// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

// Certificates returns the certificates of podgate's crt-list, sorted by Name, with the
// names that they serve and their fingerprints (management.txt "show ssl crt-list",
// "show ssl cert"). With names, only the certificates with these Names have a
// Fingerprint. The default certificate is in the list even if it serves no name. The
// Serves of a certificate with several lines has the names of all lines, in their
// order. The list is empty if HAProxy has not loaded a configuration with the crt-list.
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
	existing := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return byName[name] == nil })
	if len(names) == 0 {
		for _, c := range all {
			existing = append(existing, c.Name)
		}
	}
	fingerprints, err := x.fingerprints(ctx, existing)
	if err != nil {
		return nil, err
	}
	for i, name := range existing {
		at, _ := slices.BinarySearchFunc(all, name, func(o haproxy.Certificate, name string) int { return cmp.Compare(o.Name, name) })
		all[at].Fingerprint = fingerprints[i]
	}
	return all, nil
}

// fingerprints returns the SHA-1, in capital hexadecimal, of the certificates with
// these Names; "" for one that HAProxy does not have.
func (x exchanger) fingerprints(ctx context.Context, names []string) ([]string, error) {
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

// crtLine is one line of the crt-list in HAProxy.
type crtLine struct {
	path     string
	number   int
	names    []string
	fallback bool // the line of the default certificate, which only a reload changes
}

// crtList returns the lines of podgate's crt-list.
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

// changeCertificates makes the changes in their order. A rejection, which it adds to a,
// does not prevent the other changes.
func (x exchanger) changeCertificates(ctx context.Context, changes []haproxy.CertificateChange, a *Applied) error {
	if len(changes) == 0 {
		return nil
	}
	lines, err := x.crtList(ctx)
	if err != nil {
		return fmt.Errorf("certificates: %w", err)
	}
	for _, change := range changes {
		do := x.serveCertificate
		switch change.Op {
		case haproxy.AddCertificate:
			do = x.addCertificate
		case haproxy.RenewCertificate:
			do = x.renewCertificate
		case haproxy.DeleteCertificate:
			do = x.deleteCertificate
		}
		path, err := x.certificatePath(change.Certificate.Name)
		if err != nil {
			return err
		}
		rejection, err := do(ctx, change.Certificate, path, linesOf(lines, path), a)
		switch {
		case errors.Is(err, errTooLarge):
			a.Rejected = append(a.Rejected, Rejection{Certificate: change, Reply: err.Error(), AtReload: true})
		case err != nil:
			return fmt.Errorf("certificates: %w", err)
		case rejection != "":
			a.Rejected = append(a.Rejected, Rejection{Certificate: change, Reply: rejection})
		}
	}
	return nil
}

// linesOf returns the lines of one certificate that can change without a reload.
func linesOf(lines []crtLine, path string) []crtLine {
	return slices.DeleteFunc(slices.Clone(lines), func(l crtLine) bool { return l.path != path || l.fallback })
}

// addCertificate adds a certificate and serves its names.
func (x exchanger) addCertificate(ctx context.Context, cert haproxy.Certificate, path string, lines []crtLine, a *Applied) (rejection string, err error) {
	if err := x.fits(ctx, "set ssl cert "+path, string(cert.PEM)); err != nil {
		return "", err
	}
	// It may exist already, if podgate ended during an earlier change.
	if _, err := x.command(ctx, a, "new ssl cert "+path); err != nil {
		return "", err
	}
	if rejection, err := x.renewCertificate(ctx, cert, path, lines, a); rejection != "" || err != nil {
		return rejection, err
	}
	return x.serveCertificate(ctx, cert, path, lines, a)
}

const success = "Success!"

// renewCertificate replaces the content of a certificate, atomically for all names that
// it serves (management.txt "set ssl cert", "commit ssl cert").
func (x exchanger) renewCertificate(ctx context.Context, cert haproxy.Certificate, path string, _ []crtLine, a *Applied) (rejection string, err error) {
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
		// Another client may have left a transaction open, and HAProxy allows only one.
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

// ongoing returns the certificate with the open transaction that a reply names.
func ongoing(reply string) string {
	_, rest, ok := strings.Cut(reply, "ongoing transaction is about '")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "'")
	return name
}

// serveCertificate makes a certificate serve its names. It adds a line to the crt-list
// and then deletes the old lines. A certificate that serves no name gets no line.
func (x exchanger) serveCertificate(ctx context.Context, cert haproxy.Certificate, path string, lines []crtLine, a *Applied) (rejection string, err error) {
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

// deleteCertificate deletes a certificate from the crt-list and from memory. HAProxy
// keeps it in memory if another configuration section uses it.
func (x exchanger) deleteCertificate(ctx context.Context, _ haproxy.Certificate, path string, lines []crtLine, a *Applied) (rejection string, err error) {
	if rejection, err := x.deleteLines(ctx, lines, a); rejection != "" || err != nil {
		return rejection, err
	}
	_, err = x.command(ctx, a, "del ssl cert "+path)
	return "", err
}

// TicketKey makes HAProxy issue session tickets with a new key from now on. It still
// accepts tickets of the last two keys (management.txt "set ssl tls-key"). The key is
// base64 of 80 random bytes.
func (x exchanger) TicketKey(ctx context.Context, key string) error {
	path := filepath.Join(x.folder, cfgfile.TicketKeysFile)
	if err := checkLine("ticket keys", path+" "+key); err != nil {
		return fmt.Errorf("set ticket key: %w", bugError("the key contains a character that a command must not contain")) // the error must not contain the key
	}
	replies, err := x.exchange(ctx, "set ssl tls-key "+path+" "+key)
	if err != nil {
		return fmt.Errorf("set ticket key: %w", err)
	}
	if !strings.Contains(replies[0], "updated") {
		return fmt.Errorf("set ticket key: set ssl tls-key: HAProxy replied %q and not that the key was updated", brief(replies[0]))
	}
	return nil
}

// brief returns the beginning of a reply on one line.
func brief(reply string) string {
	const most = 300
	text := strings.Join(strings.Fields(reply), " ")
	return text[:min(len(text), most)]
}
