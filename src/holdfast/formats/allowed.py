"""Which names a pickle may import: exact names, and classes of a few libraries; never what calls, finds or runs others.

A pickle chooses what it imports and what it gives to it. So a name is fit for this list when nothing that it does
with arguments of somebody's choice runs code of somebody's choice: it does not evaluate text, look up attributes or
modules by name, read or write files, or unpickle. Some names are fit to be held, as a function that a model calls
later on numbers, and not to be called by the pickle.

What `is_refused` names wins over everything else, a policy's own names among them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.formats.listing import Ground

__all__ = ["NOTHING_MORE", "Allowed", "is_refused"]


@dataclass(frozen=True, slots=True)
class Allowed:
    """What may be imported besides what models of the known libraries need.

    Attributes:
        own: the classes and functions that each module of the bundle's own code defines.
        policy: full names that the policy adds, such as `mypkg.model.Net`.
    """

    own: Mapping[str, frozenset[str]] = field(default_factory=dict)
    policy: frozenset[str] = frozenset()

    def ground(self, module: str, name: str, *, called: bool) -> Ground:
        """Why this may be imported, and called if it is; `refused` when it may not."""
        if is_refused(module, name):
            return Ground.REFUSED
        if f"{module}.{name}" in self.policy:
            return Ground.POLICY
        if name in self.own.get(module, ()):
            return Ground.OWN
        if name in _CALLED.get(module, ()) or (not called and name in _HELD.get(module, ())):
            return Ground.LISTED
        top = module.partition(".")[0]
        classes = _CLASSES.get(top)
        if classes is not None and classes.fullmatch(name) and name not in _FOREIGN:
            return Ground.LISTED
        return Ground.REFUSED


NOTHING_MORE = Allowed()


def is_refused(module: str, name: str) -> bool:
    """Whether no list and no policy can allow this: it runs, finds or reads whatever it is given."""
    if "." in name:
        return True  # an attribute of an attribute: a way from any module to every module that it imports
    parents = module.split(".")
    if any(".".join(parents[:length]) in _REFUSED_MODULES for length in range(1, len(parents) + 1)):
        return True
    return name in _REFUSED_NAMES.get(module, ())


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_REFUSED_MODULES = _names("""
    _aix_support _frozen_importlib _frozen_importlib_external _imp _io _operator _osx_support _pickle
    _posixsubprocess _pyrepl _socket _sitebuiltins _testcapi _thread _winapi _xxsubinterpreters aiohttp
    antigravity asyncio atexit bdb cProfile cffi cgi cloudpickle cmd code codeop commands concurrent contextlib
    ctypes dbm dill distutils dis doctest ensurepip faulthandler ftplib functools gc glob http httplib idlelib
    imaplib imp importlib inspect io jinja2 joblib._store_backends joblib.externals joblib.memory
    joblib.numpy_pickle_compat joblib.parallel jsonpickle lib2to3 linecache logging lzma marshal mmap
    modulefinder msvcrt multiprocess multiprocessing nntplib nt numba ntpath numpy.compat numpy.ctypeslib
    numpy.distutils numpy.f2py numpy.lib numpy.testing opcode operator optparse os pandas.core.computation
    pandas.io pathlib._local paramiko pdb pickle pickletools pip pipes pkg_resources pkgutil platform plistlib
    poplib posix posixpath profile psutil pstats pty pwd py_compile pydoc pytest queue reprlib requests
    rlcompleter runpy sched scipy.io scipy.stats scipy.weave select selectors setuptools shelve shlex shutil
    signal site sklearn.conftest sklearn.callback sklearn.datasets sklearn.externals sklearn.tests
    sklearn.utils._joblib sklearn.utils._repr_html sklearn.utils._test_common sklearn.utils._testing
    sklearn.utils.estimator_checks sklearn.utils.parallel smtpd smtplib socket socketserver sqlite3 ssl
    subprocess sys sysconfig tarfile telnetlib tempfile test textwrap threading timeit tkinter tornado torch._C
    torch.distributed torch.fx torch.hub torch.jit torch.package torch.serialization torch.utils trace traceback
    tracemalloc turtle types typing unittest urllib urllib2 urllib3 venv warnings weakref webbrowser winreg
    xmlrpc zipapp zipfile zipimport zipimporter
""")
"""Modules, with all below them, that run, find or read what they are told. Others are not allowed either."""

_REFUSED_NAMES: Mapping[str, frozenset[str]] = {
    "builtins": _names("""
    __build_class__ __import__ apply breakpoint classmethod compile delattr dir eval exec execfile exit filter
    getattr globals hasattr help input iter license locals map memoryview next open print property quit reload
    setattr staticmethod super type vars zip
"""),
    "copyreg": _names("__newobj__ __newobj_ex__ _extension_registry add_extension constructor dispatch_table pickle"),
    "numpy": _names(
        "apply_along_axis apply_over_axes fromfile frompyfunc genfromtxt load loadtxt memmap save savez vectorize"
    ),
    "numpy._core": _names("_ufunc_reconstruct"),
    "numpy.core": _names("_ufunc_reconstruct"),
    "numpy._core._internal": _names("_getintp_ctype _convert_to_stringdtype_kwargs"),
    "re": _names("Scanner"),
    "joblib": _names("load dump Memory Parallel delayed wrap_non_picklable_objects"),
    "torch": _names("load save hub jit compile"),
    "torch.storage": _names("_load_from_bytes"),
    "xgboost.core": _names("_LIB"),
}

_CALLED: Mapping[str, frozenset[str]] = {
    "builtins": _names("""
    bool bytearray bytes complex dict float frozenset int list object range set slice str tuple Ellipsis
    NotImplemented
"""),
    "_codecs": _names("encode"),
    "collections": _names("Counter OrderedDict defaultdict deque"),
    "copyreg": _names("_reconstructor"),
    "datetime": _names("date datetime time timedelta timezone"),
    "decimal": _names("Decimal"),
    "fractions": _names("Fraction"),
    "joblib.numpy_pickle": _names("NumpyArrayWrapper"),
    "lightgbm.basic": _names("Booster"),
    "lightgbm.sklearn": _names("LGBMClassifier LGBMModel LGBMRanker LGBMRegressor"),
    "numpy": _names("""
    bool bool_ bytes_ complex128 complex64 datetime64 dtype float16 float32 float64 int16 int32 int64 int8
    longdouble ndarray matrix object_ str_ timedelta64 uint16 uint32 uint64 uint8 void
"""),
    "numpy.ma": _names("MaskedArray"),
    "numpy.ma.core": _names("MaskedArray _mareconstruct"),
    "numpy.random": _names("Generator RandomState"),
    "numpy.random._mt19937": _names("MT19937"),
    "numpy.random._pcg64": _names("PCG64 PCG64DXSM"),
    "numpy.random._philox": _names("Philox"),
    "numpy.random._sfc64": _names("SFC64"),
    "numpy.random._pickle": _names("__bit_generator_ctor __generator_ctor __randomstate_ctor"),
    "numpy.random.bit_generator": _names("SeedSequence __pyx_unpickle_SeedSequence"),
    "numpy.rec": _names("recarray record"),
    "pandas": _names("""
    Categorical CategoricalDtype CategoricalIndex DataFrame DatetimeIndex DatetimeTZDtype Float64Dtype Index
    Int64Dtype Interval IntervalIndex MultiIndex Period PeriodIndex RangeIndex Series StringDtype Timedelta
    TimedeltaIndex Timestamp
"""),
    "pandas._libs.arrays": _names("__pyx_unpickle_NDArrayBacked"),
    "pandas._libs.internals": _names("_unpickle_block"),
    "pandas._libs.tslibs.timestamps": _names("_unpickle_timestamp"),
    "pandas._libs.tslibs.timedeltas": _names("_timedelta_unpickle"),
    "pandas.arrays": _names(
        "ArrowStringArray BooleanArray DatetimeArray FloatingArray IntegerArray StringArray TimedeltaArray"
    ),
    "pandas.core.arrays.categorical": _names("Categorical"),
    "pandas.core.dtypes.dtypes": _names("CategoricalDtype"),
    "pandas.core.frame": _names("DataFrame"),
    "pandas.core.indexes.base": _names("Index _new_Index"),
    "pandas.core.indexes.datetimes": _names("DatetimeIndex _new_DatetimeIndex"),
    "pandas.core.indexes.multi": _names("MultiIndex"),
    "pandas.core.indexes.range": _names("RangeIndex"),
    "pandas.core.internals.managers": _names("BlockManager SingleBlockManager"),
    "pandas.core.series": _names("Series"),
    "pathlib": _names("Path PosixPath PurePath PurePosixPath"),
    "pyarrow.lib": _names("_restore_array py_buffer type_for_alias"),
    "re": _names("_compile"),
    "scipy.interpolate._bsplines": _names("BSpline"),
    "scipy.sparse._lil": _names("lil_array lil_matrix"),
    "sklearn.compose._column_transformer": _names("make_column_selector"),
    "sklearn.neighbors._ball_tree": _names("newObj"),
    "sklearn.neighbors._kd_tree": _names("newObj"),
    "sklearn.metrics._dist_metrics": _names("newObj"),
    "torch": _names("""
    BFloat16Storage BoolStorage ByteStorage CharStorage DoubleStorage FloatStorage HalfStorage IntStorage
    LongStorage ShortStorage Size Tensor device bfloat16 float16 float32 float64 int16 int32 int64 int8 uint8
"""),
    "torch._utils": _names("""
    _rebuild_parameter _rebuild_parameter_with_state _rebuild_qtensor _rebuild_sparse_tensor _rebuild_tensor
    _rebuild_tensor_v2
"""),
    "torch.nn.parameter": _names("Parameter"),
    "torch.storage": _names("TypedStorage UntypedStorage"),
    "uuid": _names("UUID"),
    "xgboost.core": _names("Booster DataSplitMode"),
    "xgboost.sklearn": _names("XGBClassifier XGBModel XGBRFClassifier XGBRFRegressor XGBRanker XGBRegressor"),
    **dict.fromkeys(("numpy._core.multiarray", "numpy.core.multiarray"), _names("_reconstruct scalar")),
    **dict.fromkeys(("numpy._core.numeric", "numpy.core.numeric"), _names("_frombuffer")),
    **{
        f"scipy.sparse.{place}{kind}": _names(f"{kind}_array {kind}_matrix")
        for place in ("", "_")
        for kind in ("bsr", "coo", "csc", "csr", "dia", "dok")
    },
}
"""What a pickle may import and call, by module."""

_MATHS = _names("""
    abs absolute add arcsinh arctan asarray cbrt ceil clip cos cosh degrees divide exp exp2 expm1 fabs floor log
    log10 log1p log2 max maximum mean median min minimum multiply nan_to_num negative power radians reciprocal
    rint round sign sin sinh sqrt square std subtract sum tan tanh trunc var
""")

_HELD: Mapping[str, frozenset[str]] = {
    "numpy": _MATHS,
    "scipy._lib.array_api_compat.numpy._aliases": _names("asarray"),
    "scipy.special": _names("expit logit log1p expm1 inv_boxcox boxcox"),
    "scipy.special._ufuncs": _names("expit logit log1p expm1 inv_boxcox boxcox"),
    "sklearn.cluster._kmeans": _names("_kmeans_single_elkan _kmeans_single_lloyd"),
    "sklearn.decomposition._fastica": _names("_cube _exp _logcosh"),
    "sklearn.feature_selection._mutual_info": _names("mutual_info_classif mutual_info_regression"),
    "sklearn.feature_selection._univariate_selection": _names("chi2 f_classif f_regression r_regression"),
    "sklearn.metrics._classification": _names("""
    accuracy_score balanced_accuracy_score brier_score_loss cohen_kappa_score f1_score fbeta_score hamming_loss
    jaccard_score log_loss matthews_corrcoef precision_score recall_score zero_one_loss
"""),
    "sklearn.metrics._ranking": _names("average_precision_score ndcg_score roc_auc_score top_k_accuracy_score"),
    "sklearn.metrics._regression": _names("""
    d2_absolute_error_score explained_variance_score max_error mean_absolute_error
    mean_absolute_percentage_error mean_gamma_deviance mean_poisson_deviance mean_squared_error
    mean_squared_log_error median_absolute_error r2_score root_mean_squared_error root_mean_squared_log_error
"""),
    "sklearn.metrics.pairwise": _names("""
    chi2_kernel cosine_distances cosine_similarity euclidean_distances haversine_distances laplacian_kernel
    linear_kernel manhattan_distances polynomial_kernel rbf_kernel sigmoid_kernel
"""),
}
"""Functions that a model may hold, to be called on numbers when it is asked; a pickle must not call them."""

_CLASS = r"_{0,2}[A-Z][A-Za-z0-9_]*"
_CLASSES: Mapping[str, re.Pattern[str]] = {"sklearn": re.compile(rf"{_CLASS}|__pyx_unpickle_{_CLASS}")}
"""Libraries whose classes may all be made, by how a class is written there.

Making an estimator only keeps its parameters: https://scikit-learn.org/stable/developers/develop.html, "Instantiation".
"""

_FOREIGN = _names("""
    ABC ABCMeta Any BarColumn BytesIO CalledProcessError Callable Client Connection FunctionType Generic
    GzipFile HTTPError LinearOperator Listener ListenerHandle Memory MethodType ModuleType NamedTemporaryFile
    NamedTuple Parallel Parameter Path PathLike Popen Progress Protocol Pool Process Queue Request
    SimpleNamespace StringIO Style TemporaryDirectory TemporaryFile TextColumn Thread ThreadPool
    ThreadPoolExecutor ThreadpoolController TimeRemainingColumn TimeoutExpired TypeVar TypedDict URLError
    UserDict WeakKeyDictionary _FuncWrapper Template Enum
""")
"""Classes of other libraries that modules of scikit-learn have imported, and have in their names."""
