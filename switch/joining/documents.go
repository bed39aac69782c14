package joining

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	payswitch "github.com/tranzit/tranzit/switch"
)

// documentTypes are the media types that are taken, told by the file's content.
var documentTypes = []string{"application/pdf", "image/png", "image/jpeg"}

// Upload takes a document for an item. The file is durable before the act that
// names it. Errors are refusals.
func (f *Office) Upload(id payswitch.ID, by Actor, target UploadTarget, content []byte) (*Application, error) {
	kind := http.DetectContentType(content)
	switch {
	case f.o.Documents == "":
		return nil, refused("This process takes no documents.")
	case len(content) == 0 || len(content) > f.o.MaxDocument:
		return nil, invalid("/document", "A document has 1 to %d bytes.", f.o.MaxDocument)
	case !slices.Contains(documentTypes, kind):
		return nil, invalid("/document", "A document is a PDF, PNG or JPEG file.")
	case !isLine(target.Name, 100) || strings.ContainsAny(target.Name, `/\`):
		return nil, invalid("/name", "The file's name has 1 to 100 printable characters and no slash.")
	}
	sum := sha256.Sum256(content)
	act := Act{Type: ActUpload, By: by, Reason: target.Reason, Bank: target.Bank, Item: target.Item,
		Document: &Document{Name: target.Name, Type: kind, Size: len(content), SHA256: hex.EncodeToString(sum[:])}}
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.by[id]
	if a == nil {
		return nil, errNone
	}
	act.At = f.nowAt(a)
	if err := a.legal(&act); err != nil {
		return nil, err
	}
	if err := writeDurably(f.documentPath(a, act.Document), content); err != nil {
		f.log.Error("a document could not be written", "application", a.Name(), "error", err)
		return nil, internal
	}
	return f.record(a, act)
}

// UploadTarget says what a document is for.
type UploadTarget struct{ Bank, Item, Name, Reason string }

// Document reads a document of an application back, and finds an altered file.
// Errors are refusals.
func (f *Office) Document(a *Application, sha string) (d Document, content []byte, err error) {
	for i := range a.Tracks {
		for j := range a.Tracks[i].Items {
			for _, d := range a.Tracks[i].Items[j].Documents {
				if d.SHA256 != sha {
					continue
				}
				content, err := os.ReadFile(f.documentPath(a, &d))
				if err != nil {
					return d, nil, internal
				}
				if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != sha {
					f.log.Error("a document was altered", "application", a.Name(), "sha256", sha)
					return d, nil, refused("The file is not the one that was given.")
				}
				return d, content, nil
			}
		}
	}
	return d, nil, &payswitch.Refusal{Code: payswitch.CodeNotFound, Detail: "There is no such document."}
}

func (f *Office) documentPath(a *Application, d *Document) string {
	return filepath.Join(f.o.Documents, a.Name(), d.SHA256)
}

// writeDurably puts a file into place whole: after a crash it is there as given or
// not at all.
func writeDurably(path string, content []byte) error {
	if _, err := os.Stat(path); err == nil {
		return nil // its name is the digest of its content
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, "new-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	for _, name := range []string{dir, filepath.Dir(dir), filepath.Dir(filepath.Dir(dir))} {
		if err := syncDir(name); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
