package blocks

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"

	"github.com/heapsync/heapsync/blocks/media"
)

// standardEdges are the thumbnails that are made before somebody asks.
var standardEdges = []int{256, 1024}

// do looks at a file if that is still to be done, has it told to documents, and makes the
// pictures that are wanted. An error is none of the file: it is to be tried again.
func (d *deriver) do(ctx context.Context, w *work) error {
	src, err := d.in.store.Source(ctx, w.hash)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	looked := src.Status == DerivedQueued
	if looked {
		if src, err = d.look(ctx, src.Hash); err != nil {
			return err
		}
	}
	if w.tell = w.tell || looked; w.tell {
		if err := d.describe(ctx, src); err != nil {
			return err
		}
	}
	if src.Status != DerivedReady || len(w.wants) == 0 {
		return nil
	}
	return d.makeWanted(ctx, src, w.wants)
}

func (d *deriver) ms() int64 { return d.in.now().UnixMilli() }

// look finds out facts and makes the standard pictures.
func (d *deriver) look(ctx context.Context, hash Hash) (Source, error) {
	begun := d.ms()
	src, err := d.in.store.ClaimSource(ctx, hash, begun)
	if errors.Is(err, ErrConflict) { // somebody has done it
		return d.in.store.Source(ctx, hash)
	}
	if err != nil {
		return src, err
	}
	src.Status, src.Failure, src.Engine = DerivedReady, Failure{}, d.engine
	facts, pictures, err := d.standard(ctx, src)
	if err == nil {
		err = d.savePictures(ctx, src.Hash, pictures)
	}
	if facts != nil {
		src.Facts = facts.text()
	}
	failure, ofFile := failureOf(err)
	switch {
	case err == nil:
		src.Tries = 0
	case ofFile && failure.Code == CodeTimeout && src.Tries < 2:
		src.Status = DerivedQueued // the machine may have less to do then
	case ofFile:
		src.Status, src.Failure, src.Tries = DerivedFailed, failure, 0
	case errors.Is(err, ErrNotFound): // it was swept
		return src, nil
	default:
		return src, d.giveBack(ctx, src, err)
	}
	src.At = d.ms()
	err = d.in.store.SaveSource(ctx, src)
	if err == nil && src.Status != DerivedQueued {
		err = d.in.store.ForgetPictures(ctx, src.Hash, begun)
	}
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return src, err
}

// giveBack queues a source that was claimed. Only errors of reading the file count as
// tries: a full disk, a store that is down and the server's own end are not its fault.
func (d *deriver) giveBack(ctx context.Context, src Source, why error) error {
	src.Status = DerivedQueued
	if ctx.Err() != nil || errors.Is(why, ErrUnavailable) || errors.Is(why, ErrFull) || errors.Is(why, ErrFailed) {
		src.Tries--
	} else if src.Tries >= maxTries {
		src.Status, src.Engine, src.Failure = DerivedFailed, d.engine, Failure{CodeLost, "it could not be read"}
	}
	src.At = d.ms()
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	if err := d.in.store.SaveSource(bounded, src); err != nil && !errors.Is(err, ErrNotFound) {
		return errors.Join(why, err)
	}
	return why
}

// made is a picture and what it is of.
type made struct {
	key   PictureKey
	thumb media.Thumbnail
	tries int
}

func (d *deriver) standard(ctx context.Context, src Source) (*Facts, []made, error) {
	file, err := d.open(ctx, src)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	var found media.Facts
	err = d.guard(src.Hash, func() (err error) {
		found, err = d.media.Probe(ctx, file.File)
		return err
	})
	if found.Format.Name == "" {
		return nil, nil, cmp.Or(err, error(&noPicture{Failure{CodeUnsupported, "nothing is known of it"}}))
	}
	facts := factsOf(found)
	if err == nil && found.Format.Kind == media.Audio && !found.Cover {
		err = &noPicture{Failure{CodeUnsupported, "there is no picture in it"}}
	}
	if err != nil {
		return &facts, nil, err
	}
	var thumbs []media.Thumbnail
	encoding := d.encoding(true)
	err = d.guard(src.Hash, func() (err error) {
		thumbs, err = d.media.Thumbnails(ctx, file.File, media.Options{Edges: standardEdges, Encoding: encoding, Position: media.Poster})
		return err
	})
	if changed := file.unchanged(); changed != nil {
		return nil, nil, changed
	}
	if err != nil {
		return &facts, nil, err
	}
	var list []made
	for i, thumb := range thumbs {
		key := PictureKey{Hash: src.Hash, Kind: KindThumbnail, Size: standardEdges[i], Asked: string(encoding)}
		list = append(list, made{key: key, thumb: thumb})
	}
	_ = d.guard(src.Hash, func() error { // without it nothing is lost
		hash, err := media.Thumbhash(thumbs[0])
		facts.Thumbhash = base64.StdEncoding.EncodeToString(hash)
		return err
	})
	return &facts, list, nil
}

func (d *deriver) encoding(webp bool) media.Encoding {
	if webp && d.webp {
		return media.WebP
	}
	return media.JPEG
}

// noPicture is why there is no picture, if that is not an engine's to say.
type noPicture struct{ Failure }

func (n *noPicture) Error() string { return n.Code + ": " + n.Reason }

// failureOf says what is wrong with a file; ofFile is false for an error that is none of
// it.
func failureOf(err error) (_ Failure, ofFile bool) {
	if n, ok := errors.AsType[*noPicture](err); ok {
		return n.Failure, true
	}
	for _, row := range []struct {
		is   error
		code string
	}{
		{media.ErrUnsupported, CodeUnsupported}, {media.ErrNoEngine, CodeNoEngine}, {media.ErrTooLarge, CodeTooLarge},
		{media.ErrDamaged, CodeDamaged}, {media.ErrTimeout, CodeTimeout},
	} {
		if errors.Is(err, row.is) {
			return Failure{row.code, err.Error()}, true
		}
	}
	return Failure{}, false
}

// guard survives a decoder in this process that panics on a file.
func (d *deriver) guard(hash Hash, fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			d.in.logger.Error("decoder panicked", "hash", hash, "err", v, "stack", string(debug.Stack()))
			err = &noPicture{Failure{CodeDamaged, "the decoder failed on it"}}
		}
	}()
	return fn()
}

// localFile is a source that is open.
type localFile struct {
	*os.File
	blob Blob
}

func (f *localFile) Close() {
	if f.blob != nil {
		f.blob.Close()
		return
	}
	f.File.Close()
}

// unchanged says whether what was read is what the source is: a file that lies where a scan
// found it may be written to meanwhile.
func (f *localFile) unchanged() error {
	if f.blob == nil {
		return nil
	}
	var first [1]byte
	if _, err := f.blob.ReadAt(first[:], 0); errors.Is(err, ErrFileChanged) {
		return &noPicture{Failure{CodeLost, "the file has changed"}}
	}
	return nil
}

// open opens a source as a local file, for which one that lies elsewhere is fetched. What
// no picture can be made of is not.
func (d *deriver) open(ctx context.Context, src Source) (*localFile, error) {
	blob, err := d.in.files.blobs.Open(ctx, src.Hash)
	if errors.Is(err, ErrNotFound) {
		return nil, &noPicture{Failure{CodeLost, "its bytes are missing"}}
	}
	if errors.Is(err, ErrFileOffline) || errors.Is(err, ErrFileChanged) { // a scan that finds it asks again
		return nil, &noPicture{Failure{CodeLost, "the file is not where it was"}}
	}
	if err != nil {
		return nil, err
	}
	if local, ok := blob.(LocalBlob); ok {
		return &localFile{local.LocalFile(), blob}, nil
	}
	defer blob.Close()
	if _, err := media.Sniff(blob, blob.Size()); err != nil {
		return nil, err
	}
	if limit := d.in.limits.MediaFetch; blob.Size() > limit {
		return nil, &noPicture{Failure{CodeTooLarge, fmt.Sprintf("more than %d bytes are not fetched to make pictures of", limit)}}
	}
	if err := d.in.diskRoom(ctx, blob.Size()); err != nil {
		return nil, err
	}
	return d.fetch(blob)
}

func (d *deriver) fetch(blob Blob) (*localFile, error) {
	temp, err := os.CreateTemp(d.in.uploads.temp, "media-*")
	if err != nil {
		return nil, fullDisk(err)
	}
	err = os.Remove(temp.Name()) // it goes with this process
	if err == nil {
		_, err = io.Copy(temp, blob)
	}
	if err != nil {
		temp.Close()
		return nil, fullDisk(err)
	}
	return &localFile{temp, nil}, nil
}

// savePictures stores pictures: first the ledger says that their blobs are coming, so that
// these are not swept, and in the end that they are there. ErrNotFound if the source went
// meanwhile.
func (d *deriver) savePictures(ctx context.Context, hash Hash, list []made) error {
	if len(list) == 0 {
		return nil
	}
	rows := make([]Picture, len(list))
	var sum int64
	for i, m := range list {
		sum += int64(len(m.thumb.Bytes))
		rows[i] = Picture{
			PictureKey: m.key, Status: DerivedRunning, Blob: sha256.Sum256(m.thumb.Bytes), Mime: string(m.thumb.Encoding),
			Bytes: int64(len(m.thumb.Bytes)), Width: m.thumb.Width, Height: m.thumb.Height, Tries: m.tries, Engine: d.engine, At: d.ms(),
		}
	}
	if err := d.in.diskRoom(ctx, sum); err != nil {
		return err
	}
	if err := d.in.store.SavePictures(ctx, rows); err != nil {
		return err
	}
	for i := range rows {
		if err := d.in.putBytes(ctx, rows[i].Blob, list[i].thumb.Bytes); err != nil {
			return err
		}
		rows[i].Status, rows[i].Tries = DerivedReady, 0
	}
	return d.in.store.SavePictures(ctx, rows)
}

// putBytes puts a small blob that the store knows to be coming.
func (in *Instance) putBytes(ctx context.Context, hash Hash, content []byte) error {
	temp, err := os.CreateTemp(in.uploads.temp, "blob-*")
	if err != nil {
		return fmt.Errorf("make a temporary file: %w", fullDisk(err))
	}
	defer os.Remove(temp.Name())
	defer temp.Close()
	if _, err := temp.Write(content); err != nil {
		return fmt.Errorf("write file: %w", fullDisk(err))
	}
	if err := temp.Sync(); err != nil {
		return fmt.Errorf("sync file: %w", fullDisk(err))
	}
	lock := in.blobs.of(hash)
	lock.Lock()
	defer lock.Unlock()
	return in.files.blobs.Put(ctx, hash, temp, int64(len(content)))
}

// makeWanted makes those of the wanted pictures that are not there, all sizes of one
// moment and encoding by one decoding.
func (d *deriver) makeWanted(ctx context.Context, src Source, wants []PictureRequest) error {
	type group struct {
		kind     string
		position int64
		asked    string
		size     int // of what is made one by one
	}
	groups := map[group][]Picture{}
	var order []group
	for _, want := range wants {
		key, failure := d.keyOf(src, want)
		if failure != nil {
			continue // whoever asked finds that out
		}
		old, err := d.in.store.Picture(ctx, key)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if err == nil && (old.Status == DerivedReady || old.final()) {
			continue
		}
		g := group{kind: key.Kind, position: key.Position, asked: key.Asked}
		if key.Kind == KindAnimated {
			g.size = key.Size
		}
		if groups[g] == nil {
			order = append(order, g)
		}
		p := Picture{PictureKey: key, Status: DerivedRunning, Tries: old.Tries + 1, At: d.ms()}
		if !slices.ContainsFunc(groups[g], func(have Picture) bool { return have.PictureKey == key }) {
			groups[g] = append(groups[g], p)
		}
	}
	if len(order) == 0 {
		return nil
	}
	file, err := d.open(ctx, src)
	if failure, ofFile := failureOf(err); ofFile {
		for _, g := range order {
			if err := d.failPictures(ctx, groups[g], failure); err != nil {
				return err
			}
		}
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	for _, g := range order {
		if err := d.makeGroup(ctx, src.Hash, file, groups[g]); err != nil {
			return err
		}
	}
	return nil
}

func (d *deriver) failPictures(ctx context.Context, list []Picture, failure Failure) error {
	for i := range list {
		list[i].Status, list[i].Failure, list[i].Engine, list[i].At = DerivedFailed, failure, d.engine, d.ms()
	}
	return d.ended(d.in.store.SavePictures(ctx, list))
}

// ended takes it as an end that the source is gone.
func (d *deriver) ended(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

func (d *deriver) makeGroup(ctx context.Context, hash Hash, file *localFile, list []Picture) error {
	if list[0].Tries > maxTries {
		return d.failPictures(ctx, list, Failure{CodeLost, fmt.Sprintf("it failed %d times", maxTries)})
	}
	if err := d.in.store.SavePictures(ctx, list); err != nil {
		return d.ended(err)
	}
	var thumbs []media.Thumbnail
	err := d.guard(hash, func() (err error) {
		thumbs, err = d.decode(ctx, file.File, list)
		return cmp.Or(file.unchanged(), err)
	})
	if failure, ofFile := failureOf(err); ofFile {
		return d.failPictures(ctx, list, failure)
	}
	if err == nil {
		var done []made
		for i, thumb := range thumbs {
			done = append(done, made{list[i].PictureKey, thumb, list[i].Tries})
		}
		err = d.savePictures(ctx, hash, done)
	}
	if err == nil || errors.Is(err, ErrNotFound) {
		return nil
	}
	if ctx.Err() != nil || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrFull) || errors.Is(err, ErrFailed) {
		for i := range list {
			list[i].Tries-- // not its fault
		}
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
		defer cancel()
		return errors.Join(err, d.ended(d.in.store.SavePictures(bounded, list)))
	}
	return err
}

// decode makes the pictures of a group.
func (d *deriver) decode(ctx context.Context, file *os.File, list []Picture) ([]media.Thumbnail, error) {
	first := list[0]
	if first.Kind == KindAnimated {
		thumb, err := d.media.Animation(ctx, file, first.Size, media.Poster)
		return []media.Thumbnail{thumb}, err
	}
	o := media.Options{Encoding: media.Encoding(first.Asked), Position: media.Poster}
	if first.Kind == KindVideo {
		o.Position = media.Second(first.Position)
	}
	for _, p := range list {
		o.Edges = append(o.Edges, p.Size)
	}
	return d.media.Thumbnails(ctx, file, o)
}
