"""Reading every blob of a store and comparing it with its name, through nothing but the interface.

For stores that keep each blob by itself; one that shares bytes between blobs has a better way, which reads them once.
"""

from collections.abc import Callable, Sequence
from threading import Lock

from holdfast.digest import Digest
from holdfast.errors import IntegrityError, NotFound
from holdfast.store.interface import Damage, Store, StoreCheck
from holdfast.store.parallel import batches, on_all_workers

__all__ = ["check_store"]


def check_store(store: Store, progress: Callable[[int, int], None] | None = None) -> StoreCheck:
    """Hash every blob of `store`, on more than one core.

    Args:
        store: what to check; adding to it meanwhile is safe, and what is added may be left out.
        progress: called with the bytes done and the bytes in all, by one thread at a time.

    Raises:
        PermissionRefused: a blob could not be opened, so that nothing can be said about it.
    """
    sizes = _sizes(store)
    total, done, told = sum(sizes.values()), 0, Lock()

    def work(batch: Sequence[Digest]) -> list[int | Damage | None]:
        nonlocal done
        answers: list[int | Damage | None] = []
        for digest in batch:
            answers.append(_verified(store, digest))
            if progress is not None:
                with told:
                    done += sizes[digest]
                    progress(done, total)
        return answers

    batched = on_all_workers(work, list(batches(list(sizes), sizes.__getitem__)))
    answers = [answer for batch in batched for answer in batch if answer is not None]
    damaged = tuple(sorted(answer for answer in answers if isinstance(answer, Damage)))
    whole = sum(answer for answer in answers if isinstance(answer, int))
    return StoreCheck(len(answers), whole, damaged, bytes_read=total)


def _sizes(store: Store) -> dict[Digest, int]:
    sizes: dict[Digest, int] = {}
    for digest in store.digests():
        try:
            sizes[digest] = store.size(digest)
        except IntegrityError:
            sizes[digest] = 0  # what is wrong with it is said when it is read
        except NotFound:
            continue
    return sizes


def _verified(store: Store, digest: Digest) -> int | Damage | None:
    """Its bytes, its damage, or None when it was removed since the list was made."""
    try:
        return store.verify(digest)
    except IntegrityError as error:
        return Damage(digest, str(error.details.get("found", error.message)))
    except NotFound:
        return None
