"""Irregular series: reading, checking, windowing, splitting, scaling."""

from shoal.data.errors import DataError as DataError
from shoal.data.files import content_hash as content_hash
from shoal.data.files import read_arrays as read_arrays
from shoal.data.files import read_table as read_table
from shoal.data.predict import windows_for_evaluation as windows_for_evaluation
from shoal.data.predict import windows_for_prediction as windows_for_prediction
from shoal.data.prepare import prepare as prepare
from shoal.data.prepared import Prepared as Prepared
from shoal.data.scaling import Scaling as Scaling
from shoal.data.scaling import TimeFacts as TimeFacts
from shoal.data.scaling import fit_scaling as fit_scaling
from shoal.data.schema import Schema as Schema
from shoal.data.sequences import Sequences as Sequences
from shoal.data.series import Series as Series
from shoal.data.table import Table as Table
