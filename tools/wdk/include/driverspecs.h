/*
 * Annotations of kernel drivers: IRQL, resources, function classes. They expand to nothing, as in
 * sal.h.
 */
#pragma once

#include <sal.h>

#define _IRQL_requires_(l)
#define _IRQL_requires_max_(l)
#define _IRQL_requires_min_(l)
#define _IRQL_requires_same_
#define _IRQL_raises_(l)
#define _IRQL_saves_
#define _IRQL_restores_
#define _IRQL_saves_global_(k, p)
#define _IRQL_restores_global_(k, p)
#define _IRQL_always_function_max_(l)
#define _IRQL_always_function_min_(l)
#define _IRQL_limited_to_(l)
#define _IRQL_uses_cancel_
#define _IRQL_is_cancel_

#define _Dispatch_type_(t)
#define _Kernel_clear_do_init_(y)
#define _Kernel_requires_resource_held_(k)
#define _Kernel_requires_resource_not_held_(k)
#define _Kernel_acquires_resource_(k)
#define _Kernel_releases_resource_(k)
#define _Kernel_IoGetDmaAdapter_
#define _Kernel_float_saved_
#define _Kernel_float_restored_
#define _Kernel_float_used_

#define __drv_aliasesMem
#define __drv_freesMem(k)
#define __drv_allocatesMem(k)
#define __drv_strictTypeMatch(m)
#define __drv_strictType(t, m)
#define __drv_maxIRQL(l)
#define __drv_minIRQL(l)
#define __drv_requiresIRQL(l)
#define __drv_sameIRQL
#define __drv_at(e, a)
#define __drv_when(e, a)
#define __drv_functionClass(c)
#define __drv_dispatchType(t)
#define __drv_dispatchType_other
#define __drv_in(a)
#define __drv_out(a)
#define __drv_typeBitset
#define __drv_typeCond
#define __drv_typeConst
#define __drv_typeExpr
#define __drv_mode_impl(m)
#define __drv_preferredFunction(f, why)
#define __drv_reportError(why)
