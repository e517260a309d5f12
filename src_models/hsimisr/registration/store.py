"""A registration as a file: `registration.json`, with local motion fields in an .npz beside it."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, field_validator, model_validator

from hsimisr.cube import CubeSource, FrameStack
from hsimisr.errors import ReadError, StackError, WriteError
from hsimisr.physics.config import check_psf
from hsimisr.physics.types import Float32, FrameMotion, Registration
from hsimisr.registration.psf_width import fwhm

Row = tuple[FiniteFloat, FiniteFloat, FiniteFloat]
Pair = tuple[FiniteFloat, FiniteFloat]
Key = tuple[str, str | None, int | None]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StoredFrame(_Strict):
    """One frame; `file` is relative to the JSON, `variable` and `index` pick an array or a frame in it."""

    file: str
    variable: str | None = None
    index: int | None = None
    model: str
    matrix: tuple[Row, Row, Row]
    params: Pair = Field(description="shift (dy, dx), LR pixels")
    covariance: tuple[Pair, Pair] = Field(description="of params, LR pixels squared")
    gain: FiniteFloat = Field(gt=0)
    offset: list[FiniteFloat] | None
    weight: float = Field(ge=0, le=1)
    excluded: bool
    reason: str
    chi2: FiniteFloat | None = Field(None, description="normalised residual of the frame as the others predict it")
    field: str | None = Field(description="name of the array in the .npz beside the JSON")

    @field_validator("matrix")
    @classmethod
    def _check_matrix(cls, matrix: tuple[Row, Row, Row]) -> tuple[Row, Row, Row]:
        if np.linalg.matrix_rank(np.array(matrix)) < 3:
            raise ValueError("is singular, so that no point of the frame has a place in the reference")
        return matrix


class StoredPsf(_Strict):
    """The PSF: its specification, and its width."""

    kind: str = Field(description="specification, for example mtf:0.29")
    fwhm: Pair = Field(description="along y and x turned by the angle, LR pixels")
    angle: FiniteFloat = Field(0.0, description="degrees from y towards x")
    stderr: Row | None = Field(None, description="of both widths and the angle; null where the PSF was not estimated")

    _check_kind = field_validator("kind")(check_psf)


class RegistrationFile(_Strict):
    """What `registration.json` holds."""

    version: Literal[1] = 1
    method: str
    reference: int
    psf: StoredPsf
    noise: list[float | None] = Field(description="standard deviation per band, data units; null at bad bands")
    noise_stderr: list[float | None] | None = Field(
        None, description="standard error per band, data units; null where the noise was not estimated"
    )
    frames: list[StoredFrame] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_frames(self) -> Self:
        if not 0 <= self.reference < len(self.frames):
            raise ValueError(f"its reference is frame {self.reference} of {len(self.frames)}")
        if not any(not frame.excluded and frame.weight > 0 for frame in self.frames):
            raise ValueError("every frame is left out or has no weight")
        if self.noise_stderr is not None and len(self.noise_stderr) != len(self.noise):
            raise ValueError(f"it has {len(self.noise_stderr)} standard errors of the noise of {len(self.noise)} bands")
        return self


def write_registration(
    path: Path,
    registration: Registration,
    files: Sequence[CubeSource | Path],
    noise: npt.NDArray[np.float64],
    psf: str,
    psf_stderr: Row | None = None,
    noise_stderr: npt.NDArray[np.float64] | None = None,
) -> list[Path]:
    """Write a registration, and its local fields, if any, to the .npz of the same name.

    Args:
        path: the JSON file.
        registration: the motion of K frames.
        files: where the K frames come from.
        noise: standard deviation ``(B,)``, data units.
        psf: specification, for example ``mtf:0.29``.
        psf_stderr: standard errors of its two widths and its angle, where it was found from the frames.
        noise_stderr: standard errors of the noise ``(B,)``, data units, where it was found from the frames.

    Returns:
        The files that were written.

    Raises:
        WriteError: the folder cannot be written, the number of files is not K, or the motion is not usable.
    """
    path = Path(path)
    if len(files) != len(registration.frames):
        raise WriteError(f"{path}: {len(files)} files for {len(registration.frames)} registered frames; give one each")
    fields = {f"field_{k}": frame.field for k, frame in enumerate(registration.frames) if frame.field is not None}
    try:
        content = RegistrationFile(
            method=registration.method,
            reference=registration.reference,
            psf=_stored_psf(psf, psf_stderr),
            noise=_with_gaps(noise),
            noise_stderr=None if noise_stderr is None else _with_gaps(noise_stderr),
            frames=[
                _to_stored(frame, file, path.parent, f"field_{k}")
                for k, (frame, file) in enumerate(zip(registration.frames, files, strict=True))
            ],
        )
    except ValidationError as error:
        raise WriteError(f"{path}: this motion cannot be used again: {_told(error)}; choose other frames") from error
    written = [path]
    try:
        if fields:
            arrays = path.with_suffix(".npz")
            part = arrays.with_name(f".{arrays.stem}.part.npz")
            np.savez_compressed(part, **fields)  # type: ignore[arg-type]  # keywords are the names of the arrays
            part.replace(arrays)
            written.append(arrays)
        part = path.with_name(f".{path.name}.part")
        part.write_text(content.model_dump_json(indent=1), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise WriteError(f"{path}: cannot be written ({error.strerror or error}); choose another folder") from error
    return written


def for_frames(path: Path, stack: FrameStack) -> Registration:
    """The motion of the frames of `stack`, in their order, matched by file name (and variable and index).

    Raises:
        ReadError: the registration file is damaged.
        StackError: a frame is not in it, fits several of its entries, the reference is another one, or offsets and
            fields are of other bands and another reference.
    """
    path = Path(path)
    content = read_registration_file(path)
    registration = _to_registration(path, content)
    order = [_match(path, content, frame.source, frame.name) for frame in stack.frames]
    if order[stack.reference] != content.reference:
        reference = content.frames[content.reference].file
        raise StackError(
            f"{path}: all motion in it is relative to {reference}, but the reference frame is "
            f"{stack.reference_frame.name}; make {reference} the reference, or register again"
        )
    found = Registration(tuple(registration.frames[k] for k in order), stack.reference, registration.method)
    _check_fit(path, found, stack)
    return found


def read_registration_file(path: Path) -> RegistrationFile:
    """Read and check everything in `registration.json`, noise and PSF included; raises ReadError."""
    try:
        return RegistrationFile.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ReadError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error
    except ValidationError as error:
        raise ReadError(f"{path}: is no registration: {_told(error)}; run `hsimisr register` again") from error


def _told(error: ValidationError) -> str:
    """Where a file is wrong, and how."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place or 'file'}: {first['msg'].removeprefix('Value error, ')}"


def _with_gaps(values: npt.NDArray[np.float64]) -> list[float | None]:
    """Numbers per band, None for those that are not finite: JSON has no name for them."""
    return [float(value) if np.isfinite(value) else None for value in values]


def _stored_psf(psf: str, stderr: Row | None) -> StoredPsf:
    along, across, angle = fwhm(psf)
    return StoredPsf(kind=psf, fwhm=(along, across), angle=angle, stderr=stderr)


def _to_stored(frame: FrameMotion, file: CubeSource | Path, folder: Path, field: str) -> StoredFrame:
    source = CubeSource(str(file)) if isinstance(file, Path) else file
    return StoredFrame(
        file=Path(os.path.relpath(source.path, folder)).as_posix(),
        variable=source.variable,
        index=source.index,
        model=frame.model,
        matrix=frame.matrix.tolist(),
        params=frame.shift.tolist(),
        covariance=frame.covariance.tolist(),
        gain=frame.gain,
        offset=None if frame.offset is None else frame.offset.tolist(),
        weight=frame.weight,
        excluded=frame.excluded,
        reason=frame.reason,
        chi2=frame.chi2 if np.isfinite(frame.chi2) else None,
        field=None if frame.field is None else field,
    )


def _to_registration(path: Path, content: RegistrationFile) -> Registration:
    fields = _read_fields(path, [frame.field for frame in content.frames if frame.field is not None])
    frames = [
        FrameMotion(
            matrix=np.array(frame.matrix),
            covariance=np.array(frame.covariance),
            gain=frame.gain,
            offset=None if frame.offset is None else np.array(frame.offset),
            weight=frame.weight,
            excluded=frame.excluded,
            reason=frame.reason,
            chi2=float("nan") if frame.chi2 is None else frame.chi2,
            field=None if frame.field is None else fields[frame.field],
            model=frame.model,
        )
        for frame in content.frames
    ]
    return Registration(tuple(frames), content.reference, content.method)


def _read_fields(path: Path, names: Sequence[str]) -> dict[str, Float32]:
    arrays = path.with_suffix(".npz")
    if not names:
        return {}
    try:
        with np.load(arrays) as archive:
            fields = {name: archive[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ReadError(f"{path}: its motion fields in {arrays.name} are missing or damaged ({error})") from error
    for name, field in fields.items():
        if not np.issubdtype(field.dtype, np.floating) or not np.isfinite(field).all():
            raise ReadError(f"{path}: {name} in {arrays.name} is not all finite numbers; run `hsimisr register` again")
    return fields


def _match(path: Path, content: RegistrationFile, source: CubeSource | None, name: str) -> int:
    """Index of a frame in the file: by its path if that fits, else by its file name alone."""
    if source is None:
        raise StackError(f"{path}: {name} comes from no file, so its motion cannot be looked up; register again")
    candidates: list[int] = []
    for whole_path in (True, False):
        wanted = _key(Path(source.path), source.variable, source.index, whole_path)
        keys = [_key(path.parent / f.file, f.variable, f.index, whole_path) for f in content.frames]
        candidates = [k for k, key in enumerate(keys) if key == wanted]
        if len(candidates) == 1:
            return candidates[0]
    known = ", ".join(frame.file for frame in content.frames[:8]) + (", ..." if len(content.frames) > 8 else "")
    problem = "fits several of its frames" if candidates else "is not in it"
    raise StackError(f"{path}: {source} {problem}; it knows {known}; register these frames again")


def _check_fit(path: Path, found: Registration, stack: FrameStack) -> None:
    """Raise StackError where the motion is of frames with other bands or another size, or uses none of the frames."""
    if not any(found.frames[k].weight > 0 for k in found.included):
        raise StackError(f"{path}: leaves out every one of these frames; give others, or register them again")
    for frame, motion in zip(stack.frames, found.frames, strict=True):
        if motion.offset is not None and len(motion.offset) != stack.bands:
            raise StackError(
                f"{path}: its offset of {frame.name} has {len(motion.offset)} bands and the frames have {stack.bands}; "
                "register these frames again"
            )
        expected = (2, *stack.reference_frame.shape_yx)
        if motion.field is not None and motion.field.shape != expected:
            raise StackError(
                f"{path}: its field of {frame.name} has shape {motion.field.shape} and the reference asks for "
                f"{expected}; register these frames again"
            )


def _key(file: Path, variable: str | None, index: int | None, whole_path: bool) -> Key:
    return (str(file.resolve()) if whole_path else file.name), variable, index
