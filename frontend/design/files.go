package design

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	_ "image/gif"  // pictures are looked at
	_ "image/jpeg" // pictures are looked at
	_ "image/png"  // pictures are looked at
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

var fileName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,40}(\.[a-z0-9_-]{1,10}){1,2}$`)

// pictureTypes are the media types of pictures by the ends of their names.
var pictureTypes = map[string]string{".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp"}

// maxSide bounds the pixels of a picture's side.
const maxSide = 4096

// names checks what files there are; false: there is nothing to look into.
func (l *lint) names() bool {
	total := 0
	for _, name := range slices.Sorted(maps.Keys(l.files)) {
		body := l.files[name]
		total += len(body)
		switch {
		case !fileName.MatchString(name):
			l.about(printable(name), "The name is not one of small letters, digits, - and _ with an ending.")
		case name == PageFile || name == StyleFile || languageOf(name) != "" || pictureTypes[path.Ext(name)] != "":
		case path.Ext(name) == ".svg":
			l.about(name, "SVG can carry scripts and is not taken: make a PNG or WebP of it.")
		case path.Ext(name) == ".js":
			l.about(name, "A template has no scripts.")
		default:
			l.about(name, "Not a file of a template: those are page.html, page.en.html, page.ru.html, page.es.html, style.css and pictures (png, jpg, gif, webp).")
		}
		if len(body) > MaxFile {
			l.about(printable(name), "The file has %d bytes, at most %d.", len(body), MaxFile)
		}
	}
	switch {
	case len(l.files) > MaxFiles:
		l.about(PageFile, "The template has %d files, at most %d.", len(l.files), MaxFiles)
	case total > MaxBundle:
		l.about(PageFile, "The template has %d bytes in all, at most %d.", total, MaxBundle)
	case l.files[PageFile] == nil:
		l.about(PageFile, "The file is missing: it holds what stands around the payment.")
	}
	return len(l.findings) == 0
}

// printable keeps a name of any bytes from being more than a name.
func printable(name string) string {
	clean := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return '?'
		}
		return r
	}, name)
	if len(clean) > 60 {
		clean = clean[:60]
	}
	return strings.ToValidUTF8(clean, "")
}

// source is a file of text; false: it is none.
func (l *lint) source(name string) (*source, bool) {
	body := bytes.TrimPrefix(l.files[name], []byte("\ufeff"))
	s := &source{lint: l, name: name, text: string(body)}
	if !utf8.Valid(body) {
		l.about(name, "The file is not UTF-8.")
		return nil, false
	}
	for i, r := range s.text {
		if unicode.Is(unicode.Cc, r) && r != '\n' && r != '\r' && r != '\t' || unicode.Is(unicode.Bidi_Control, r) {
			s.at(i, "The character U+%04X is not allowed.", r)
			return nil, false
		}
	}
	return s, true
}

// readPictures makes the data: address of each picture.
func (l *lint) readPictures() {
	for name, body := range l.files {
		media := pictureTypes[path.Ext(name)]
		if media == "" {
			continue
		}
		l.pictures[name] = "data:" + media + ";base64," + base64.StdEncoding.EncodeToString(body)
		if media == "image/webp" {
			if len(body) < 16 || string(body[:4]) != "RIFF" || string(body[8:12]) != "WEBP" {
				l.about(name, "The file is not a WebP picture.")
			}
			continue
		}
		shape, format, err := image.DecodeConfig(bytes.NewReader(body))
		switch {
		case err != nil || "image/"+format != media:
			l.about(name, "The file is not a picture of the kind that its name says.")
		case shape.Width > maxSide || shape.Height > maxSide:
			l.about(name, "The picture has %d by %d pixels, at most %d by %d.", shape.Width, shape.Height, maxSide, maxSide)
		}
	}
}

// picture is the data: address of a picture that is named at an offset.
func (s *source) picture(offset int, name string) string {
	address, ok := s.pictures[name]
	if !ok {
		s.at(offset, "%q is not a picture of the template: pictures are uploaded with it, and named as their files.", printable(name))
		return ""
	}
	s.used[name] = true
	return address
}

// ReadZip reads the files of an archive. One folder around all of them is left
// out, and so is what macOS and Windows add. Its errors name the file.
func ReadZip(body []byte) (Files, error) {
	if len(body) > MaxBundle+MaxFiles*1024 {
		return nil, fmt.Errorf("the archive has %d bytes, at most %d", len(body), MaxBundle+MaxFiles*1024)
	}
	archive, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return nil, fmt.Errorf("not a zip archive: %w", err)
	}
	all := map[string]*zip.File{}
	folders := map[string]bool{}
	for _, f := range archive.File {
		base := path.Base(f.Name)
		if strings.HasSuffix(f.Name, "/") || strings.HasPrefix(f.Name, "__MACOSX/") || base == ".DS_Store" || base == "Thumbs.db" {
			continue
		}
		folder, _, in := strings.Cut(f.Name, "/")
		if !in {
			folder = ""
		}
		folders[folder] = true
		if all[f.Name] != nil {
			return nil, fmt.Errorf("%s: twice in the archive", printable(f.Name))
		}
		all[f.Name] = f
	}
	if len(all) > MaxFiles {
		return nil, fmt.Errorf("the archive has %d files, at most %d", len(all), MaxFiles)
	}
	files := Files{}
	for name, f := range all {
		content, err := f.Open()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", printable(name), err)
		}
		text, err := io.ReadAll(io.LimitReader(content, MaxFile+1))
		if _ = content.Close(); err != nil {
			return nil, fmt.Errorf("%s: %w", printable(name), err)
		}
		if len(folders) == 1 && !folders[""] {
			_, name, _ = strings.Cut(name, "/")
		}
		files[name] = text
	}
	return files, nil
}

// WriteZip is an archive of the files; equal files give equal bytes.
func (f Files) WriteZip() ([]byte, error) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(f)) {
		at, err := w.Create(name)
		if err != nil {
			return nil, err
		}
		if _, err := at.Write(f[name]); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
