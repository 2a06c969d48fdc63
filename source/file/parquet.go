package file

import (
	"errors"
	"io"

	"trailward/source/parquet"
)

// parquet hands on a Parquet file as the lines of its rows, as if it were
// compressed text. Its description is at its end, so it has to be held when it
// does not lie by itself; of a file that was cut, nothing can be read.
func (k *walker) parquet(s stream) error {
	at, size, ok, err := k.hold(s, MaxParquetHeld, ParquetTooLarge)
	if !ok {
		return err
	}
	open := func(b *budget) (io.ReadCloser, error) {
		r, err := parquet.Open(at, size)
		if err != nil {
			return nil, ofParquet(err)
		}
		return closeBoth{&budgetReader{&ctxReader{k.ctx, &parquetReader{r}, nil}, b}, r.Close}, nil
	}
	rc, err := open(s.budget)
	if err != nil {
		if ctxErr(err) {
			return err
		}
		k.report.damage(damageOf(s.name, err))
		return nil
	}
	defer rc.Close()
	s.r, s.at, s.size, s.open = rc, nil, -1, open
	s.layers++
	return k.leaf(s)
}

// parquetReader gives the errors of a Parquet file their reason.
type parquetReader struct{ r *parquet.Reader }

func (r *parquetReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	return n, ofParquet(err)
}

func ofParquet(err error) error {
	switch {
	case errors.Is(err, parquet.ErrEncrypted):
		return &layerError{EncryptedParquet, err}
	case errors.Is(err, parquet.ErrTooLarge):
		return &layerError{ParquetOverLimit, err}
	}
	return because(err, CutParquet, BrokenParquet)
}
